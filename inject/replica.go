package inject

import (
	"hash/fnv"
	"math"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
)

// tcpScheme begins the runner host of an engine that is reached by an address.
const tcpScheme = "tcp://"

// replicaOf returns the pod's connection to one of an engine's replicas. It is the one that the pod already has, else the
// first of its project where pods are placed by cache, else one that a hash of the pod's identity chooses: every replica of this
// program chooses the same, and pods are spread evenly.
func (c *choice) replicaOf(e *compiledEngine) *connection {
	n := c.replica
	if c.held != e || n == noReplica {
		var ok bool
		if n, ok = c.projectsReplica(e); !ok {
			n = bucket(c.pod.identity(c.in.Namespace.Name), e.replicas.Offered)
		}
	}
	connection := newConnection(config.TransportTCP, tcpScheme+e.replicas.Address(n))
	connection.discovered = true
	return connection
}

// annotationJobIndex tells the pods of an indexed Job apart.
const annotationJobIndex = "batch.kubernetes.io/job-completion-index"

// identity hashes what distinguishes the pod from others before it is created. If a controller leaves the name to the API server,
// that is the name's prefix, the owner, and for an indexed Job the index. Every call has all of these.
func (p *pod) identity(namespace string) uint64 {
	index, _ := p.annotation(annotationJobIndex)
	h := fnv.New64a()
	for _, part := range [...]string{namespace, p.name, p.namePrefix, p.owner, index} {
		_, _ = h.Write([]byte(part))
		_, _ = h.Write([]byte{0})
	}
	return rendezvous.Mix(h.Sum64())
}

// bucket divides keys among n buckets so that few of them move when n changes (Lamping and Veach, A Fast, Minimal Memory,
// Consistent Hash Algorithm).
func bucket(key uint64, n int32) int32 {
	at, next := int64(0), int64(0)
	for next < int64(n) {
		at = next
		key = key*2862933555777941757 + 1
		next = int64(float64(at+1) * (math.Exp2(31) / float64(key>>33+1)))
	}
	return int32(at)
}
