package kubelet

import (
	"net"
	"strconv"
)

// ProcessAddress returns where the process of a pod listens on a port.
//
// A pod has two addresses: 10.x.y.z in the API, since EndpointSlices refuse loopback addresses, and 127.x.y.z for its
// process. So each pod has every port for itself.
func ProcessAddress(podIP string, port int32) string { return address(loopback(podIP), port) }

// loopback returns the address of a pod's process.
func loopback(podIP string) string {
	ip := net.ParseIP(podIP).To4()
	return net.IPv4(127, ip[1], ip[2], ip[3]).String()
}

func address(ip string, port int32) string { return net.JoinHostPort(ip, strconv.Itoa(int(port))) }
