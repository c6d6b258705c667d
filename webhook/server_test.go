package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	patience = 30 * time.Second
	tick     = 20 * time.Millisecond
)

// listening is a server on the loopback address with one path.
type listening struct {
	*server
	url    string
	signal context.CancelFunc
	ended  chan error
}

func listen(t *testing.T, dir string, quiet time.Duration, handler http.HandlerFunc) *listening {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	l := &listening{url: fmt.Sprintf("https://localhost:%d/path", port), ended: make(chan error, 1)}
	l.server = newServer(&Options{
		Host: "127.0.0.1", Port: port, CertDir: dir, Log: slog.New(slog.DiscardHandler), DrainQuietPeriod: quiet, DrainTimeout: patience,
	})
	l.handle("/path", handler)
	ctx, cancel := context.WithCancel(t.Context())
	l.signal = cancel
	serving, stop := l.drain.outlive(ctx)
	go l.certificate.follow(serving)
	go func() { l.ended <- l.Start(serving) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-l.ended)
	})
	return l
}

func (l *listening) waitReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, check := range l.checks() {
			if check(nil) != nil {
				return false
			}
		}
		return true
	}, patience, tick)
}

// trusting returns a client with one protocol that keeps connections.
func trusting(t *testing.T, dir, protocol string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, certFile))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{protocol}}, ForceAttemptHTTP2: protocol == "h2",
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask makes a request, and reports whether it went over a connection that was there already.
func (l *listening) ask(t *testing.T, client *http.Client) (text string, reused bool) {
	t.Helper()
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodPost, l.url, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	return string(body), reused
}

func TestDrainClosesConnectionsAfterTheirAnswers(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			dir := t.TempDir()
			_, err := EnsureCertificate(dir)
			require.NoError(t, err)
			l := listen(t, dir, patience, func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, req.Proto) })
			l.waitReady(t)
			client := trusting(t, dir, protocol)
			l.ask(t, client)
			proto, reused := l.ask(t, client)
			require.True(t, reused, "a connection is kept while it may be")
			require.Equal(t, map[string]string{"http/1.1": "HTTP/1.1", "h2": "HTTP/2.0"}[protocol], proto)

			l.signal()
			require.Eventually(t, func() bool { return l.drain.ready(nil) != nil }, patience, tick)
			_, reused = l.ask(t, client)
			require.True(t, reused, "what comes over a kept connection is answered")
			require.Eventually(t, func() bool {
				_, reused = l.ask(t, client)
				return !reused
			}, patience, tick, "and the next request goes over a new one, which is served too")
		})
	}
}

func TestDrainAnswersRequestsInFlight(t *testing.T) {
	dir := t.TempDir()
	_, err := EnsureCertificate(dir)
	require.NoError(t, err)
	began, release, cancelled := make(chan struct{}), make(chan struct{}), make(chan struct{})
	l := listen(t, dir, 0, func(w http.ResponseWriter, req *http.Request) {
		close(began)
		<-release
		_, _ = io.WriteString(w, "answered")
		<-req.Context().Done()
		close(cancelled)
	})
	l.waitReady(t)
	answer, client := make(chan string, 1), trusting(t, dir, "http/1.1")
	go func() {
		response, err := client.Post(l.url, "text/plain", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		answer <- string(text)
	}()
	<-began
	l.signal()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", l.url[len("https://"):len(l.url)-len("/path")])
		return err != nil || conn.Close() != nil
	}, patience, tick, "nobody is listened to any more")
	close(release)
	<-cancelled
	require.Equal(t, "answered", <-answer)
}

func TestTheCertificateIsWaitedFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	l := listen(t, dir, 0, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })
	require.ErrorContains(t, l.certificate.ready(nil), filepath.Join(dir, certFile))
	require.Error(t, l.checks()["listening"](nil))
	_, err := EnsureCertificate(dir)
	require.NoError(t, err)
	l.waitReady(t)
	text, _ := l.ask(t, trusting(t, dir, "http/1.1"))
	require.Equal(t, "served", text)
}

func TestChangesOfReadinessAreLogged(t *testing.T) {
	var log bytes.Buffer
	var now error
	check := logChanges(slog.New(slog.NewTextHandler(&log, nil)), "caches", func(*http.Request) error { return now })
	require.NoError(t, check(nil))
	require.Empty(t, log.String())
	now = errors.New("the namespaces are not read yet")
	require.ErrorIs(t, check(nil), now)
	require.ErrorIs(t, check(nil), now)
	now = nil
	require.NoError(t, check(nil))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], `check=caches ok=false error="the namespaces are not read yet"`)
	require.Contains(t, lines[1], `check=caches ok=true error=""`)
}
