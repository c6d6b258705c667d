package localcluster

import (
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
)

// choose returns one of the backends behind an address for a new connection, "" if there is none, and counts the connection
// until the function it returns is called.
func (b *balancer) choose(at string) (backend string, ended func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	backends := b.backends[at]
	if len(backends) == 0 {
		return "", func() {}
	}
	backend = backends[rand.N(len(backends))]
	b.open[backend]++
	return backend, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.open[backend]--
	}
}

// Connections returns how many connections to a webhook's pod are open through the Service.
func (c *Cluster) Connections(pod *corev1.Pod) int {
	c.balancer.mu.RLock()
	defer c.balancer.mu.RUnlock()
	return c.balancer.open[c.WebhookAddress(pod)]
}
