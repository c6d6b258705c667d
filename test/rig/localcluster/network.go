package localcluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// network is where a cluster's addresses are. Several clusters on one machine take different ones, by chance.
//
// A pod has two addresses: 10.x.y.z in the API, since EndpointSlices refuse loopback addresses, and 127.x.y.z for its
// process. Each replica so has every port for itself.
type network struct {
	services string
	second   byte
	pods     *atomic.Uint32
	ports
}

// ports are chosen anew for each cluster: who listens on a port of all addresses has it on each of ours too.
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

// node returns the address of a node, at which its kubelet answers.
func (n network) node(i int) string { return fmt.Sprintf("127.%d.0.%d", n.second, i+1) }

// newPod returns the address of a new pod.
func (n network) newPod() string {
	i := n.pods.Add(1) - 1
	return fmt.Sprintf("10.%d.%d.%d", n.second, 1+i/250%254, 1+i%250)
}

// loopback returns the address at which the process of a pod listens.
func loopback(podIP string) string {
	ip := net.ParseIP(podIP).To4()
	return net.IPv4(127, ip[1], ip[2], ip[3]).String()
}

func address(ip string, port int32) string { return net.JoinHostPort(ip, strconv.Itoa(int(port))) }
