package sim

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
)

// What a node has and what a job that requests what it uses requests: CPU in thousandths of a processor, memory in MiB. A node is full by
// its processors, and has memory to spare.
const (
	// CPU is a node's, all of which its slots use.
	CPU = 16_000
	// Memory is a node's.
	Memory = 48 << 10
	// JobMemory is what a job requests.
	JobMemory = 4 << 10
)

// The scheduler's own numbers.
const (
	maxScore       = 100
	affinityWeight = 2
	// leastSampled is in nodes, leastSampledShare in percent.
	leastSampled      = 100
	leastSampledShare = 5
	// What a container without requests counts for where nodes are scored by the room they have.
	defaultCPU    = 100
	defaultMemory = 200
)

// Scheduler scores nodes as kube-scheduler 1.36 does with its defaults, as far as nodes that differ in nothing else go: it filters by
// requests, samples where there are many nodes, and adds up NodeResourcesFit (LeastAllocated), NodeResourcesBalancedAllocation and
// NodeAffinity.
type Scheduler struct {
	order
	random *rand.Rand
	fleet  *fleet.Fleet

	nodes   []*node
	byName  map[string]*node
	waiting []*fleet.Job
	// from is the node at which the next sample begins.
	from int
	// scores are those of a node with so many jobs for one more, its affinity apart.
	scores []int64

	preferred, feasible, best []*node
}

// node is what the scheduler knows of a node.
type node struct {
	*fleet.Node
	jobs int
	// weight is that of the preference for it of the project at hand.
	weight int64
}

// NewScheduler returns a scheduler that prefers nodes as a ladder says.
func NewScheduler(ladder Ladder, seed uint64) *Scheduler {
	return &Scheduler{order: order{ladder: ladder}, random: rand.New(rand.NewPCG(seed, 3))}
}

// Start implements fleet.Placer.
func (s *Scheduler) Start(_ context.Context, f *fleet.Fleet) error {
	s.fleet, s.nodes, s.byName = f, nil, map[string]*node{}
	for _, n := range f.Nodes {
		s.add(n)
	}
	s.update(f.Nodes)
	s.waiting = append([]*fleet.Job{}, f.Waiting...)
	s.scores = scores(f.Workload)
	return nil
}

func (s *Scheduler) add(n *fleet.Node) {
	known := &node{Node: n, jobs: len(n.Running)}
	s.nodes = append(s.nodes, known)
	s.byName[n.Name] = known
}

// Arrive implements fleet.Placer.
func (s *Scheduler) Arrive(_ context.Context, jobs []*fleet.Job) error {
	s.waiting = append(s.waiting, jobs...)
	return nil
}

// Bind implements fleet.Placer.
func (s *Scheduler) Bind(_ context.Context, n int) ([]fleet.Binding, error) {
	bindings := make([]fleet.Binding, 0, n)
	project := -1
	for _, j := range s.waiting[:n] {
		if j.Project != project {
			project = j.Project
			s.prefer(project)
		}
		to := s.choose()
		to.jobs++
		bindings = append(bindings, fleet.Binding{Job: j, Node: to.Node})
	}
	s.waiting = s.waiting[n:]
	return bindings, nil
}

// Leave implements fleet.Placer.
func (s *Scheduler) Leave(_ context.Context, j *fleet.Job) error {
	s.byName[j.Node.Name].jobs--
	return nil
}

// AddNode implements fleet.Placer.
func (s *Scheduler) AddNode(_ context.Context, n *fleet.Node) error {
	s.add(n)
	s.update(s.fleet.Nodes)
	return nil
}

// Cordon implements fleet.Placer. The engine of a cordoned node is ready, so that it stays in the order.
func (s *Scheduler) Cordon(context.Context, *fleet.Node) error { return nil }

// RemoveNode implements fleet.Placer.
func (s *Scheduler) RemoveNode(_ context.Context, n *fleet.Node) error {
	delete(s.byName, n.Name)
	for i, known := range s.nodes {
		if known.Node == n {
			s.nodes = append(s.nodes[:i], s.nodes[i+1:]...)
			break
		}
	}
	s.preferred = s.preferred[:0]
	s.update(s.fleet.Nodes)
	return nil
}

// prefer makes a project's preferences those at hand.
func (s *Scheduler) prefer(project int) {
	for _, n := range s.preferred {
		n.weight = 0
	}
	s.preferred = s.preferred[:0]
	for i, name := range s.first(project) {
		n := s.byName[name]
		n.weight = s.ladder.Term(i)
		s.preferred = append(s.preferred, n)
	}
}

// choose returns the node with the highest score among those sampled, one of them by chance if there are several.
func (s *Scheduler) choose() *node {
	s.sample()
	var most int64
	for _, n := range s.feasible {
		most = max(most, n.weight)
	}
	top := int64(math.MinInt64)
	s.best = s.best[:0]
	for _, n := range s.feasible {
		score := s.scores[n.jobs]
		if n.weight > 0 {
			score += affinityWeight * (maxScore * n.weight / most)
		}
		if score > top {
			top, s.best = score, s.best[:0]
		}
		if score == top {
			s.best = append(s.best, n)
		}
	}
	return s.best[s.random.IntN(len(s.best))]
}

// sample looks for nodes with room: all of them, or the first that are found in a large fleet. The next sample begins where this one
// ends.
func (s *Scheduler) sample() {
	s.feasible = s.feasible[:0]
	wanted, looked := sampled(len(s.nodes)), 0
	for ; looked < len(s.nodes) && len(s.feasible) < wanted; looked++ {
		n := s.nodes[(s.from+looked)%len(s.nodes)]
		if !n.Cordoned && n.jobs < len(s.scores) {
			s.feasible = append(s.feasible, n)
		}
	}
	s.from = (s.from + looked) % len(s.nodes)
}

// sampled is the scheduler's numFeasibleNodesToFind.
func sampled(nodes int) int {
	if nodes < leastSampled {
		return nodes
	}
	return max(leastSampled, nodes*max(leastSampledShare, 50-nodes/125)/100)
}

// scores returns the scores of a node with 0, 1, 2, ... jobs for one more.
func scores(w *fleet.Workload) []int64 {
	cpu, memory := w.Requests*CPU/float64(w.Slots), w.Requests*JobMemory
	all := make([]int64, w.Fit())
	for i := range all {
		// A job's helper and the node's engine request nothing.
		jobs := float64(i + 1)
		least := free(jobs*(cpu+defaultCPU)+defaultCPU, CPU) + free(jobs*(memory+defaultMemory)+defaultMemory, Memory)
		all[i] = least/2 + maxScore/2 + (maxScore/2+balance(jobs*cpu, jobs*memory)-balance((jobs-1)*cpu, (jobs-1)*memory))/2
	}
	return all
}

// free is LeastAllocated's score of one resource.
func free(requested float64, capacity int64) int64 {
	if requested > float64(capacity) {
		return 0
	}
	return int64((float64(capacity) - requested) * maxScore / float64(capacity))
}

// balance is BalancedAllocation's score of what is requested of the two resources.
func balance(cpu, memory float64) int64 {
	return int64((1 - math.Abs(cpu/CPU-memory/Memory)/2) * maxScore)
}
