// Package forward passes TCP connections on, as kube-proxy does: it does not look at the data, and never retries.
package forward

import (
	"io"
	"net"
	"time"
)

// Serve passes each connection that a listener gets on to the backend that choose names for it, until the listener is closed.
// Choose's second result is called once the connection has ended. If choose names none ("") or the backend cannot be reached,
// Serve resets the client's connection: the backend itself would have refused it.
func Serve(listener net.Listener, choose func() (backend string, ended func())) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			backend, ended := choose()
			defer ended()
			pass(connection.(*net.TCPConn), backend)
		}()
	}
}

// pass connects a client with a backend until both have ended.
func pass(client *net.TCPConn, address string) {
	backend, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		reset(client)
		return
	}
	server := backend.(*net.TCPConn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyTo(server, client)
	}()
	copyTo(client, server)
	<-done
	_, _ = client.Close(), server.Close()
}

// copyTo copies one direction of a connection, and its end: a reset is passed on as one.
func copyTo(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		reset(to)
		reset(from)
		return
	}
	_ = to.CloseWrite()
}

// reset ends a connection with a RST.
func reset(connection *net.TCPConn) {
	_ = connection.SetLinger(0)
	_ = connection.Close()
}
