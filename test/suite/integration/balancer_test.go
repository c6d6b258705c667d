package integration

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/forward"
)

const (
	// probePeriod is how often readiness is probed, and routingDelay how much later it takes effect on new connections, as
	// with a kubelet and a kube-proxy.
	probePeriod  = 100 * time.Millisecond
	routingDelay = time.Second
)

// balancer spreads connections over replicas as kube-proxy does: it knows TCP only, follows readiness late, and tries
// nothing again.
type balancer struct {
	port int

	mu     sync.Mutex
	routed []string
	next   int
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	b := &balancer{port: listener.Addr().(*net.TCPAddr).Port}
	go forward.Serve(listener, func() (string, func()) { return b.pick(), func() {} })
	return b
}

// follow routes connections to a replica while its probe succeeds, until the test ends.
func (b *balancer) follow(t *testing.T, replica, probe string) {
	t.Helper()
	go func() {
		ready := false
		for t.Context().Err() == nil {
			response, err := http.Get(probe)
			now := err == nil && response.StatusCode == http.StatusOK
			if err == nil {
				_ = response.Body.Close()
			}
			if now != ready {
				ready = now
				time.AfterFunc(routingDelay, func() { b.route(replica, now) })
			}
			time.Sleep(probePeriod)
		}
	}()
}

func (b *balancer) route(replica string, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.routed = slices.DeleteFunc(b.routed, func(other string) bool { return other == replica })
	if ready {
		b.routed = append(b.routed, replica)
	}
}

// routes reports whether new connections go to a replica.
func (b *balancer) routes(replica string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.routed, replica)
}

func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.routed) == 0 {
		return ""
	}
	b.next++
	return b.routed[b.next%len(b.routed)]
}
