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

// Replicas are the engines of a StatefulSet with several replicas. The governing Service gives each a DNS name of its own.
type Replicas struct {
	// Name is the name of the StatefulSet, with which its pods' names begin, Namespace their namespace, and Service the
	// governing Service.
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Start is the ordinal of the first replica, Wanted how many the StatefulSet asks for, and Offered among how many of them,
	// counted from the first, jobs' pods are divided.
	Start   int32 `json:"start,omitempty"`
	Wanted  int32 `json:"wanted"`
	Offered int32 `json:"offered"`
	// Port is the port that each listens on.
	Port int32 `json:"port"`
}

// readReplicas returns a StatefulSet's replicas; nil if there is only one, or if they have no names.
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

// offered returns among how many replicas, counted from the first, jobs' pods are divided. The status says how many replicas
// are ready, but not which. While the StatefulSet creates them one after the other, the first ones are ready. Later, any of
// them may be unready, so pods are divided among all. A pod that gets an unready replica waits: its name does not resolve
// until it is ready.
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

// Numbered returns the replica whose pod has a name, counted from 0 as for Address. It returns false if no wanted replica has it.
func (r *Replicas) Numbered(pod string) (int32, bool) {
	number, ok := strings.CutPrefix(pod, r.Name+"-")
	ordinal, err := strconv.ParseInt(number, 10, 32)
	n := ordinal - int64(r.Start)
	if !ok || err != nil || n < 0 || n >= int64(r.Wanted) {
		return 0, false
	}
	return int32(n), true
}

// Index returns the replica that has an address, counted from 0 as for Address. It returns false if no wanted replica has it.
func (r *Replicas) Index(address string) (int32, bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return 0, false
	}
	pod, _, _ := strings.Cut(host, ".")
	n, ok := r.Numbered(pod)
	return n, ok && r.Address(n) == address
}
