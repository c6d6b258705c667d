// Package probe asks a Dagger Engine for its version, and says why if none answers.
//
// The engine listens only once it is fully up, and the call needs no session, so an answer means that the engine is ready. The
// protocol is unary gRPC, moby.buildkit.v1.Control/Info, unchanged from v0.11 to 1.0: net/http speaks enough HTTP/2 for it.
package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	method        = "/moby.buildkit.v1.Control/Info"
	enginePackage = "github.com/dagger/dagger"
)

// Probe makes one attempt to ask the engine at a host, over a new connection. The context bounds its time, and Probe itself
// bounds what it reads. Every error is an *Error.
func Probe(ctx context.Context, h Host) (Info, error) {
	info, failed := probe(ctx, h)
	if failed != nil { // A nil *Error in an error would not be nil.
		return Info{}, failed
	}
	return info, nil
}

func probe(ctx context.Context, h Host) (Info, *Error) {
	conn, failed := connect(ctx, h)
	if failed != nil {
		return Info{}, failed
	}
	defer func() { _ = conn.Close() }()
	info, failed := ask(ctx, h, conn)
	if failed != nil {
		return Info{}, failed
	}
	if info.Package != enginePackage {
		return Info{}, &Error{Cause: CauseOtherBuildkitd,
			Detail: fmt.Sprintf("its package is %q, and an engine's is %q", oneLine(info.Package), enginePackage)}
	}
	return info, nil
}

// ask makes the call on a connection.
func ask(ctx context.Context, h Host, conn net.Conn) (Info, *Error) {
	target := url.URL{Scheme: "http", Host: h.address, Path: method}
	switch h.scheme {
	case schemeUnix:
		target.Host = "localhost:80" // the host that clients send over a socket, with the port that net/http requires
	case schemeTLS:
		target.Scheme = "https"
	}
	heard := &listener{Conn: conn}
	// The connection is opened before, so that its errors keep their cause. A TLS handshake has then agreed on HTTP/2:
	// net/http sees no *tls.Conn here, and so takes the connection for an unencrypted one.
	dial := func(context.Context, string, string) (net.Conn, error) { return heard, nil }
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, Protocols: new(http.Protocols),
		DisableCompression: true, MaxResponseHeaderBytes: maxMessage}
	transport.Protocols.SetUnencryptedHTTP2(true)
	client, err := transport.NewClientConn(ctx, target.Scheme, target.Host)
	if err != nil {
		return Info{}, heard.explain(ctx, err)
	}
	defer func() { _ = client.Close() }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(make([]byte, frameHeader)))
	if err != nil {
		return Info{}, failure(CauseNotAnEngine, "", err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("Te", "trailers")
	response, err := client.RoundTrip(request)
	if err != nil {
		return Info{}, heard.explain(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if failed := judgeHeader(response); failed != nil {
		return Info{}, failed
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, frameHeader+maxMessage+1))
	if err != nil {
		return Info{}, heard.explain(ctx, err)
	}
	if len(body) > frameHeader+maxMessage {
		return Info{}, &Error{Cause: CauseNotAnEngine, Detail: fmt.Sprintf("its answer is larger than %d bytes", maxMessage)}
	}
	if failed := judgeStatus(response); failed != nil {
		return Info{}, failed
	}
	info, err := parseAnswer(body)
	if err != nil {
		return Info{}, failure(CauseNotAnEngine, "its answer cannot be read: ", err)
	}
	return info, nil
}

// judgeHeader checks the header: whether the answer is gRPC at all.
func judgeHeader(response *http.Response) *Error {
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &Error{Cause: CauseRefused, Detail: fmt.Sprintf("a proxy before it answers HTTP %d", response.StatusCode)}
	default:
		return &Error{Cause: CauseNotAnEngine, Detail: fmt.Sprintf("it answers HTTP %d", response.StatusCode)}
	}
	kind := response.Header.Get("Content-Type")
	if kind != "application/grpc" && kind != "application/grpc+proto" {
		return &Error{Cause: CauseNotAnEngine, Detail: fmt.Sprintf("it answers with content of the type %q, not with gRPC", oneLine(kind))}
	}
	return nil
}

// judgeStatus checks the status, which gRPC sends after the body, or in the header if there is no body.
func judgeStatus(response *http.Response) *Error {
	status, message := response.Trailer.Get("Grpc-Status"), response.Trailer.Get("Grpc-Message")
	if status == "" {
		status, message = response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message")
	}
	if text, err := url.PathUnescape(message); err == nil {
		message = text
	}
	switch status {
	case "0":
		return nil
	case "":
		return &Error{Cause: CauseNotAnEngine, Detail: "its answer ends without a gRPC status"}
	case "12":
		return &Error{Cause: CauseNotAnEngine, Detail: "it speaks gRPC and does not have the method " + method}
	case "14":
		return &Error{Cause: CauseRefused, Detail: fmt.Sprintf("the answer is gRPC status 14, unavailable: %q", oneLine(message))}
	}
	return &Error{Cause: CauseNotAnEngine, Detail: fmt.Sprintf("it answers with gRPC status %s: %q", oneLine(status), oneLine(message))}
}

// listener records what net/http does not report: the first bytes, which show the protocol of the other side, and the error
// that ended reading.
type listener struct {
	net.Conn
	mu    sync.Mutex // net/http reads in a goroutine of its own.
	first []byte
	err   error
}

const frameHeaderHTTP2 = 9

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	if missing := frameHeaderHTTP2 - len(l.first); missing > 0 {
		l.first = append(l.first, p[:min(n, missing)]...)
	}
	if l.err == nil && !errors.Is(err, net.ErrClosed) { // net/http closes the connection after an error of its own
		l.err = err
	}
	return n, err
}

// explain finds the cause of an error on an open connection.
func (l *listener) explain(ctx context.Context, err error) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		err = l.err
	}
	first := string(l.first)
	var alert *net.OpError
	switch {
	case errors.As(err, &alert) && alert.Op == "remote error":
		return failure(CauseTLS, "", err) // With TLS 1.3 the server judges the client's certificate after the handshake.
	case strings.HasPrefix(first, "HTTP/"):
		return &Error{Cause: CauseNotAnEngine, Detail: "it speaks HTTP/1, and an engine speaks HTTP/2", err: err}
	case strings.HasPrefix(first, "\x15\x03"):
		return &Error{Cause: CauseTLS, Detail: "the server speaks TLS, and the URL says tcp", remedy: "Use a tls URL.", err: err}
	case ctx.Err() != nil:
		return &Error{Cause: CauseNoAnswer, Detail: "the connection is accepted, and no answer comes", err: ctx.Err()}
	case first == "" && hungUp(err):
		detail := "the connection is accepted and closed without an answer, as by a proxy with no engine behind it"
		if _, encrypted := l.Conn.(*tls.Conn); encrypted {
			detail += ", or one that wants another certificate of the client"
		} else {
			detail += ", or by a server that wants TLS"
		}
		return &Error{Cause: CauseRefused, Detail: detail, err: err}
	case isSettings(first) && hungUp(err):
		return failure(CauseRefused, "the connection breaks off: ", err)
	case isSettings(first):
		return failure(CauseNotAnEngine, "it fails to answer: ", err)
	}
	return failure(CauseNotAnEngine, "it does not speak HTTP/2: ", err)
}

// isSettings reports whether bytes are the header of the frame that every HTTP/2 server sends first.
func isSettings(first string) bool {
	return len(first) == frameHeaderHTTP2 && first[3] == 4 && first[5:] == "\x00\x00\x00\x00"
}
