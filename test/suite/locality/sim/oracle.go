package sim

import (
	"context"
	"math/rand/v2"

	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
)

// Oracle sees all caches and what jobs really use. It gives each job, in the order of their arrival, the least busy node that has its
// cache and a free slot, else the least busy of all. It does not look ahead, so it is no bound.
type Oracle struct {
	fleet   *fleet.Fleet
	random  *rand.Rand
	jobs    map[*fleet.Node]int
	waiting []*fleet.Job
}

// NewOracle returns an oracle.
func NewOracle(seed uint64) *Oracle { return &Oracle{random: rand.New(rand.NewPCG(seed, 4))} }

// Start implements fleet.Placer.
func (o *Oracle) Start(_ context.Context, f *fleet.Fleet) error {
	o.fleet, o.jobs, o.waiting = f, map[*fleet.Node]int{}, append([]*fleet.Job{}, f.Waiting...)
	for _, n := range f.Nodes {
		o.jobs[n] = len(n.Running)
	}
	return nil
}

// Arrive implements fleet.Placer.
func (o *Oracle) Arrive(_ context.Context, jobs []*fleet.Job) error {
	o.waiting = append(o.waiting, jobs...)
	return nil
}

// Bind implements fleet.Placer.
func (o *Oracle) Bind(_ context.Context, n int) ([]fleet.Binding, error) {
	bindings := make([]fleet.Binding, 0, n)
	for _, j := range o.waiting[:n] {
		to := o.choose(j.Project)
		o.jobs[to]++
		bindings = append(bindings, fleet.Binding{Job: j, Node: to})
	}
	o.waiting = o.waiting[n:]
	return bindings, nil
}

// choose returns the best node for a job of a project.
func (o *Oracle) choose(project int) *fleet.Node {
	var best []*fleet.Node
	warm, least := false, 0
	for _, n := range o.fleet.Nodes {
		jobs := o.jobs[n]
		if n.Cordoned || jobs >= o.fleet.Workload.Fit() {
			continue
		}
		has := jobs < o.fleet.Workload.Slots && n.Has(project)
		if best == nil || has && !warm || has == warm && jobs < least {
			best, warm, least = best[:0], has, jobs
		}
		if has == warm && jobs == least {
			best = append(best, n)
		}
	}
	return best[o.random.IntN(len(best))]
}

// Leave implements fleet.Placer.
func (o *Oracle) Leave(_ context.Context, j *fleet.Job) error {
	o.jobs[j.Node]--
	return nil
}

// AddNode implements fleet.Placer.
func (o *Oracle) AddNode(context.Context, *fleet.Node) error { return nil }

// Cordon implements fleet.Placer.
func (o *Oracle) Cordon(context.Context, *fleet.Node) error { return nil }

// RemoveNode implements fleet.Placer.
func (o *Oracle) RemoveNode(_ context.Context, n *fleet.Node) error {
	delete(o.jobs, n)
	return nil
}
