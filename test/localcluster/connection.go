package localcluster

import (
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// serve passes on the connections that a listener gets, until it is closed.
func (b *balancer) serve(at string, listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go b.pass(at, connection.(*net.TCPConn))
	}
}

// pass connects a client with one backend. Where that cannot be reached, the client's connection is reset, as it would have
// been refused had the client reached the pod itself.
func (b *balancer) pass(at string, client *net.TCPConn) {
	b.mu.RLock()
	backends := b.backends[at]
	b.mu.RUnlock()
	if len(backends) == 0 {
		reset(client)
		return
	}
	backend, err := net.DialTimeout("tcp", backends[rand.N(len(backends))], 10*time.Second)
	if err != nil {
		reset(client)
		return
	}
	server := backend.(*net.TCPConn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		forward(server, client)
	}()
	forward(client, server)
	<-done
	_, _ = client.Close(), server.Close()
}

// forward copies one direction of a connection, and its end: a reset is passed on as one.
func forward(to, from *net.TCPConn) {
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
