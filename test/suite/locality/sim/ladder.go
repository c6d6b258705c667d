// Package sim places the jobs of a fleet as kube-scheduler would, or as somebody would who sees the caches.
package sim

import (
	"strconv"

	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
)

// Ladder is a preference for the first nodes of a project's order. Without Nodes there is none.
type Ladder struct {
	Nodes      int `json:"nodes"`
	Weight     int `json:"weight"`
	LastWeight int `json:"lastWeight"`
}

// Term is the weight of the i-th node, counted from 0.
func (l Ladder) Term(i int) int64 {
	return int64(l.Weight - (l.Weight-l.LastWeight)*i/max(1, l.Nodes-1))
}

// order ranks the nodes for projects.
type order struct {
	ladder Ladder
	set    *rendezvous.Set
}

// update learns of a change of the nodes.
func (o *order) update(nodes []*fleet.Node) {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	o.set = rendezvous.NewSet(names)
}

// first returns the names of the nodes that a project prefers.
func (o *order) first(project int) []string { return o.set.First(Key(project), o.ladder.Nodes) }

// Namespace is where the jobs' pods are.
const Namespace = "ci"

// Key is the key of a project's order.
func Key(project int) string { return Namespace + "\x00gitlab:" + strconv.Itoa(project) }
