package localcluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/kubelet"
)

// network is where a cluster's addresses are. Several clusters on one machine take different ones, by chance.
type network struct {
	services string
	second   byte
	pods     *atomic.Uint32
	ports
}

// ports are chosen anew for each cluster: another program that listens on a port of all addresses has it on ours too.
type ports struct{ service, webhook, metrics, probes, kubelet int32 }

func newNetwork() (network, error) {
	n := 1 + rand.N(60)
	network := network{services: fmt.Sprintf("127.%d.0.0/16", 128+n), second: byte(64 + n), pods: &atomic.Uint32{}}
	p := &network.ports
	for _, port := range []*int32{&p.service, &p.webhook, &p.metrics, &p.probes, &p.kubelet} {
		listener, err := net.Listen("tcp", ":0")
		if err != nil {
			return network, err
		}
		// Kept open until all are chosen, so that no port comes twice.
		defer func() { _ = listener.Close() }()
		*port = int32(listener.Addr().(*net.TCPAddr).Port)
	}
	return network, nil
}

// nodes are two, each in a zone, so that replicas can be spread. Their kubelet answers at their addresses.
func (n network) nodes() []kubelet.Node {
	return []kubelet.Node{
		{Name: "node-1", Zone: "zone-1", IP: n.node(0)},
		{Name: "node-2", Zone: "zone-2", IP: n.node(1)},
	}
}

// node returns the address of the kubelet of the i-th node, counted from 0.
func (n network) node(i int) string { return fmt.Sprintf("127.%d.0.%d", n.second, i+1) }

// newPod returns the address of a new pod.
func (n network) newPod() string {
	i := n.pods.Add(1) - 1
	return fmt.Sprintf("10.%d.%d.%d", n.second, 1+i/250%254, 1+i%250)
}

// WebhookAddress returns where the process of a webhook's pod serves admission reviews.
func (c *Cluster) WebhookAddress(pod *corev1.Pod) string {
	return kubelet.ProcessAddress(pod.Status.PodIP, c.network.webhook)
}
