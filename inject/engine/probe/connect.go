package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// connect opens a connection, and does the TLS handshake if the URL is a tls URL.
func connect(ctx context.Context, h Host) (net.Conn, *Error) {
	network := "tcp"
	if h.scheme == schemeUnix {
		network = "unix"
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, h.address)
	switch {
	case err == nil && h.scheme == schemeTLS:
		return shakeHands(ctx, h, patient{conn})
	case err == nil:
		return patient{conn}, nil
	case h.scheme == schemeUnix:
		return nil, explainSocket(ctx, h.address, err)
	}
	return nil, explainDial(ctx, h, err)
}

func explainDial(ctx context.Context, h Host, err error) *Error {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return failure(CauseDNS, "", dns)
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Cause: CauseNoAnswer, Detail: "no connection to " + h.address + " is made", err: err}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return &Error{Cause: CauseRefused, Detail: "nothing listens at " + h.address, err: err}
	}
	return failure(CauseUnreachable, "", err)
}

// shakeHands does the TLS handshake on a connection. It closes the connection if that fails.
func shakeHands(ctx context.Context, h Host, conn net.Conn) (net.Conn, *Error) {
	config, failed := h.tlsConfig()
	if failed != nil {
		_ = conn.Close()
		return nil, failed
	}
	secure := tls.Client(conn, config)
	err := secure.HandshakeContext(ctx)
	if err == nil && secure.ConnectionState().NegotiatedProtocol == "h2" {
		return secure, nil
	}
	_ = conn.Close()
	var plain tls.RecordHeaderError
	switch {
	case err == nil:
		return nil, &Error{Cause: CauseTLS, Detail: "the server does not offer HTTP/2 (by ALPN), which clients insist on",
			remedy: "Terminate TLS in a proxy before the engine that offers h2: the engine's own listener does not."}
	case ctx.Err() != nil:
		return nil, &Error{Cause: CauseNoAnswer, Detail: "the connection is accepted, and the TLS handshake stalls", err: err}
	case errors.As(err, &plain):
		return nil, &Error{Cause: CauseTLS, Detail: "the server does not speak TLS, and the URL says tls",
			remedy: "Use a tcp URL, or the port of the server that terminates TLS.", err: err}
	case hungUp(err):
		return nil, &Error{Cause: CauseTLS, err: err,
			Detail: "the connection is closed during the handshake, as by a server without TLS, or by a proxy with no engine behind it"}
	}
	return nil, failure(CauseTLS, "", err)
}

// tlsConfig reads the files each time: a Secret in a volume can be renewed while we wait.
func (h Host) tlsConfig() (*tls.Config, *Error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, ServerName: h.name}
	if h.files.ca != "" {
		text, err := os.ReadFile(h.files.ca)
		if err != nil {
			return nil, failure(CauseTLS, "ca_path: ", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, &Error{Cause: CauseTLS, Detail: fmt.Sprintf("ca_path: %s holds no certificate in PEM", h.files.ca)}
		}
	}
	if h.files.cert != "" {
		pair, err := tls.LoadX509KeyPair(h.files.cert, h.files.key)
		if err != nil {
			return nil, failure(CauseTLS, "cert_path and key_path: ", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// patient hides from writers that the other side has closed the connection, so that the reader finds out: when a write fails,
// the last bytes from the other side, such as a TLS alert about our certificate, may still be unread.
type patient struct{ net.Conn }

func (p patient) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(b)
	if hungUp(err) {
		return len(b), nil
	}
	return n, err
}

// hungUp reports whether an error means that the other side has closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
