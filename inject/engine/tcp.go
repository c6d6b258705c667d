package engine

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// readTCP returns the first port that the engine listens on beyond its loopback address.
func (d *Discovered) readTCP(listen []string) *Port {
	for _, address := range listen {
		rest, ok := strings.CutPrefix(address, "tcp://")
		if !ok {
			continue
		}
		host, text, err := net.SplitHostPort(rest)
		port, portErr := strconv.ParseUint(text, 10, 16)
		switch {
		case err != nil || portErr != nil || port == 0:
			d.note("its --addr %s cannot be read", address)
		case host == "localhost" || net.ParseIP(host).IsLoopback():
			d.note("its --addr %s is for itself only", address)
		default:
			return &Port{Port: int32(port)}
		}
	}
	return nil
}

// nodePort returns the port of the node that leads to the engine's port.
func nodePort(c *candidate, engine *corev1.Container, port int32) *Port {
	if c.Workload.Kind != "DaemonSet" {
		return nil // on one node only
	}
	if c.template.Spec.HostNetwork {
		return &Port{Port: port}
	}
	for _, p := range engine.Ports {
		if p.ContainerPort == port && p.HostPort != 0 && (p.HostIP == "" || net.ParseIP(p.HostIP).IsUnspecified()) {
			return &Port{Port: p.HostPort}
		}
	}
	return nil
}

// service returns the Service that leads to the engine's port: a safe one before others, then the first by name.
func service(c *candidate, engine *corev1.Container, port int32, services []corev1.Service) *Service {
	var found []Service
	for i := range services {
		s := &services[i]
		if s.Namespace != "" && s.Namespace != c.Workload.Namespace || s.Spec.Type == corev1.ServiceTypeExternalName ||
			!selects(s.Spec.Selector, c.template.Labels) {
			continue
		}
		for _, p := range s.Spec.Ports {
			if target(p, engine) != port {
				continue
			}
			one := Service{Address: fmt.Sprintf("%s.%s.svc:%d", s.Name, c.Workload.Namespace, p.Port)}
			one.Safe, one.Reason = safe(c, &s.Spec)
			one.nodeLocal = isLocal(&s.Spec)
			found = append(found, one)
		}
	}
	if len(found) == 0 {
		return nil
	}
	best := slices.MinFunc(found, func(a, b Service) int {
		if a.Safe != b.Safe {
			if a.Safe {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Address, b.Address)
	})
	return &best
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if have, ok := labels[key]; !ok || have != value {
			return false
		}
	}
	return len(selector) > 0
}

// target returns the container's port that a Service's port leads to, 0 for none.
func target(p corev1.ServicePort, engine *corev1.Container) int32 {
	switch {
	case p.TargetPort.Type == intstr.String:
		for _, named := range engine.Ports {
			if named.Name == p.TargetPort.StrVal {
				return named.ContainerPort
			}
		}
		return 0
	case p.TargetPort.IntVal != 0:
		return p.TargetPort.IntVal
	}
	return p.Port
}

func isLocal(s *corev1.ServiceSpec) bool {
	return s.InternalTrafficPolicy != nil && *s.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal
}

// safe reports whether all connections of a pod reach the same engine, and why.
func safe(c *candidate, s *corev1.ServiceSpec) (bool, string) {
	switch {
	case c.replicas != nil && *c.replicas == 1:
		return true, "there is one engine"
	case s.ClusterIP == corev1.ClusterIPNone:
		return false, "it is headless, so that each connection may reach another engine: give it a cluster IP and sessionAffinity: ClientIP"
	case s.SessionAffinity == corev1.ServiceAffinityClientIP:
		return true, "sessionAffinity is ClientIP"
	case isLocal(s) && c.Workload.Kind == "DaemonSet":
		return true, "internalTrafficPolicy is Local, and an engine is on each node"
	}
	return false, "there are several engines, and each connection may reach another one: " +
		"set sessionAffinity: ClientIP or internalTrafficPolicy: Local"
}
