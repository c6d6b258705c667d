package probe_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe/probetest"
)

// ask probes a URL with time for a local answer.
func ask(t *testing.T, raw string) (probe.Info, error) {
	t.Helper()
	return askWithin(t, raw, 10*time.Second)
}

func askWithin(t *testing.T, raw string, limit time.Duration) (probe.Info, error) {
	t.Helper()
	host, err := probe.ParseHost(raw)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return probe.Probe(ctx, host)
}

// requireCause checks an error's cause and that its text has a part.
func requireCause(t *testing.T, cause probe.Cause, part string, err error) {
	t.Helper()
	var failed *probe.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, cause, failed.Cause, err.Error())
	require.ErrorContains(t, err, part)
	require.NotContains(t, err.Error(), "\n")
}

// socketDir is a directory whose path is short enough for a socket in it, and that every uid can enter.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "probe")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serveTCP serves HTTP/2 without TLS and returns the URL.
func serveTCP(t *testing.T, handler http.Handler) string {
	t.Helper()
	l := listen(t, "tcp", "127.0.0.1:0")
	server := probetest.Server(handler)
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
	return "tcp://" + l.Addr().String()
}

func serveUnix(t *testing.T, handler http.Handler) string {
	t.Helper()
	l := listen(t, "unix", filepath.Join(socketDir(t), "engine.sock"))
	server := probetest.Server(handler)
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
	return "unix://" + l.Addr().String()
}

// serveRaw gives every connection to a function, and closes it after that.
func serveRaw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l := listen(t, "tcp", "127.0.0.1:0")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return "tcp://" + l.Addr().String()
}

func TestProbe(t *testing.T) {
	want := probetest.EngineInfo("v0.21.8")
	for name, url := range map[string]string{
		"unix": serveUnix(t, probetest.Handler(want)),
		"tcp":  serveTCP(t, probetest.Handler(want)),
	} {
		t.Run(name, func(t *testing.T) {
			info, err := ask(t, url)
			require.NoError(t, err)
			require.Equal(t, want, info)
		})
	}
}

func TestProbeAnswersThatAreNoEngine(t *testing.T) {
	grpc := func(body []byte, status, message string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { probetest.Answer(w, body, status, message) })
	}
	good := probetest.Frame(probetest.EngineInfo("v0.21.8"))
	plain := probetest.EngineInfo("v0.15.0")
	plain.Package = "github.com/moby/buildkit"
	cases := map[string]struct {
		handler http.Handler
		cause   probe.Cause
		part    string
	}{
		"plain buildkitd":   {probetest.Handler(plain), probe.CauseOtherBuildkitd, `"github.com/moby/buildkit"`},
		"no package":        {grpc(make([]byte, 5), "0", ""), probe.CauseOtherBuildkitd, `""`},
		"unimplemented":     {grpc(nil, "12", ""), probe.CauseNotAnEngine, "does not have the method"},
		"unavailable":       {grpc(nil, "14", "upstream%20down"), probe.CauseRefused, `"upstream down"`},
		"another status":    {grpc(nil, "16", strings.Repeat("x\r\n", 9000)), probe.CauseNotAnEngine, "gRPC status 16"},
		"no status":         {grpc(good, "", ""), probe.CauseNotAnEngine, "ends without a gRPC status"},
		"a cut message":     {grpc(good[:len(good)-3], "0", ""), probe.CauseNotAnEngine, "announces"},
		"compressed":        {grpc(append([]byte{1}, good[1:]...), "0", ""), probe.CauseNotAnEngine, "compressed"},
		"not protobuf":      {grpc([]byte{0, 0, 0, 0, 1, 0xff}, "0", ""), probe.CauseNotAnEngine, "not a protobuf message"},
		"larger than bound": {grpc(make([]byte, 70<<10), "0", ""), probe.CauseNotAnEngine, "larger than 65536 bytes"},
		"a web server":      {http.NotFoundHandler(), probe.CauseNotAnEngine, "HTTP 404"},
		"a page": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }),
			probe.CauseNotAnEngine, `"text/html`},
		"a proxy": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }), probe.CauseRefused, "HTTP 503"},
		"a status in the header": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "12")
		}), probe.CauseNotAnEngine, "does not have the method"},
		"hangs up": {http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), probe.CauseNotAnEngine,
			"fails to answer"},
		"never ends": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}), probe.CauseNotAnEngine, "larger than"},
		"large header": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("X-Large", strings.Repeat("x", 200<<10))
		}), probe.CauseNotAnEngine, "fails to answer"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ask(t, serveTCP(t, c.handler))
			requireCause(t, c.cause, c.part, err)
			require.Less(t, len(err.Error()), 1000)
		})
	}
}

func TestProbeWhatIsNotHTTP2(t *testing.T) {
	say := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.WriteString(conn, text)
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	// Closing with something unread would be a reset, which can overtake what was written.
	sayAndClose := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.WriteString(conn, text)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	cases := map[string]struct {
		serve func(net.Conn)
		cause probe.Cause
		part  string
	}{
		"garbage":          {say(strings.Repeat("garbage ", 100)), probe.CauseNotAnEngine, "does not speak HTTP/2"},
		"a banner":         {say("SSH-2.0-OpenSSH_9.9\r\n"), probe.CauseNotAnEngine, "does not speak HTTP/2"},
		"HTTP/1":           {say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), probe.CauseNotAnEngine, "speaks HTTP/1"},
		"a TLS alert":      {sayAndClose("\x15\x03\x01\x00\x02\x02\x46"), probe.CauseTLS, "Use a tls URL"},
		"closes at once":   {func(net.Conn) {}, probe.CauseRefused, "closed without an answer"},
		"closes too early": {sayAndClose("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), probe.CauseRefused, "breaks off"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ask(t, serveRaw(t, c.serve))
			requireCause(t, c.cause, c.part, err)
		})
	}
	t.Run("a real HTTP/1 server", func(t *testing.T) {
		l := listen(t, "tcp", "127.0.0.1:0")
		server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
		t.Cleanup(func() { _ = server.Close() })
		go func() { _ = server.Serve(l) }()
		_, err := ask(t, "tcp://"+l.Addr().String())
		requireCause(t, probe.CauseNotAnEngine, "speaks HTTP/1", err)
	})
}

func TestProbeHalfOpen(t *testing.T) {
	silent := serveRaw(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	chatty := serveRaw(t, func(conn net.Conn) { // Settings without end, and no answer.
		for {
			if _, err := conn.Write(bytes.Repeat([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), 10)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	for _, url := range []string{silent, chatty, strings.Replace(silent, "tcp:", "tls:", 1)} {
		start := time.Now()
		_, err := askWithin(t, url, 200*time.Millisecond)
		requireCause(t, probe.CauseNoAnswer, "the connection is accepted", err)
		require.Less(t, time.Since(start), 2*time.Second)
	}
}

func TestProbeNoConnection(t *testing.T) {
	_, err := ask(t, "tcp://name.invalid:1234")
	requireCause(t, probe.CauseDNS, "name.invalid", err)

	l := listen(t, "tcp", "127.0.0.1:0")
	require.NoError(t, l.Close())
	_, err = ask(t, "tcp://"+l.Addr().String())
	requireCause(t, probe.CauseRefused, "nothing listens at "+l.Addr().String(), err)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestCausesAreComplete(t *testing.T) {
	codes := map[int]bool{0: true, 1: true, 2: true}
	for _, c := range probe.Causes() {
		require.False(t, codes[c.ExitCode()], "%s: the exit code is taken", c)
		codes[c.ExitCode()] = true
		for _, text := range []string{c.Sentence(), c.Remedy()} {
			require.Regexp(t, `^[A-Z].*\.$`, text, string(c))
		}
	}
}
