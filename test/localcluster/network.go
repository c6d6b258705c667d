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
}

func newNetwork() network {
	n := 1 + rand.N(60)
	return network{services: fmt.Sprintf("127.%d.0.0/16", 128+n), second: byte(64 + n), pods: &atomic.Uint32{}}
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
