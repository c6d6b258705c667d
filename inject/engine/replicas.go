package engine

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Replicas are the engines of a StatefulSet that has several. Each has a DNS name of its own, which its governing Service
// gives it.
type Replicas struct {
	// Name is the StatefulSet's, with which its pods' names begin, Namespace theirs, and Service the governing Service.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Start is the first one's number, Wanted how many there are to be, and Offered how many pods are divided among, from the
	// first on.
	Start   int32 `json:"start,omitempty"`
	Wanted  int32 `json:"wanted"`
	Offered int32 `json:"offered"`
	// Port is the port that each listens on.
	Port int32 `json:"port"`
}

// readReplicas returns a StatefulSet's replicas, nil where there is one only or they have no names.
func (d *Discovered) readReplicas(c *candidate, services []corev1.Service) *Replicas {
	if c.statefulSet == nil || *c.replicas < 2 {
		return nil
	}
	s := &c.statefulSet.Spec
	at := slices.IndexFunc(services, func(one corev1.Service) bool {
		return one.Name == s.ServiceName && (one.Namespace == "" || one.Namespace == c.Workload.Namespace)
	})
	if at < 0 || services[at].Spec.ClusterIP != corev1.ClusterIPNone || !selects(services[at].Spec.Selector, c.template.Labels) {
		d.note("its replicas have no DNS names of their own: its serviceName %q is no headless Service that selects its pods", s.ServiceName)
		return nil
	}
	r := &Replicas{
		Name: c.Workload.Name, Namespace: c.Workload.Namespace, Service: s.ServiceName,
		Wanted: *c.replicas, Offered: offered(c.statefulSet), Port: d.TCP.Port,
	}
	if s.Ordinals != nil {
		r.Start = s.Ordinals.Start
	}
	return r
}

// offered returns how many of a StatefulSet's replicas pods are given, from the first on. The status says how many are ready,
// and not which. While they are made one after the other, those that are ready are the first. Later it may be any that is not:
// pods are given each, and one that is given a replica that is not ready waits for it, as its name does not resolve until then.
func offered(s *appsv1.StatefulSet) int32 {
	wanted, ready := *replicas(s.Spec.Replicas), s.Status.ReadyReplicas
	oneByOne := s.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
	if oneByOne && ready > 0 && s.Status.Replicas < wanted {
		return min(ready, s.Status.Replicas)
	}
	return wanted
}

// Address returns the address of the n-th replica, counted from 0.
func (r *Replicas) Address(n int32) string {
	return fmt.Sprintf("%s-%d.%s.%s.svc:%d", r.Name, r.Start+n, r.Service, r.Namespace, r.Port)
}

// Index returns which replica an address is of, counted from 0, as Address does; false where it is of none that is wanted.
func (r *Replicas) Index(address string) (int32, bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return 0, false
	}
	pod, _, _ := strings.Cut(strings.TrimPrefix(host, r.Name+"-"), ".")
	ordinal, err := strconv.ParseInt(pod, 10, 32)
	n := ordinal - int64(r.Start)
	if err != nil || n < 0 || n >= int64(r.Wanted) || r.Address(int32(n)) != address {
		return 0, false
	}
	return int32(n), true
}
