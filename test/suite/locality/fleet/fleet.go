package fleet

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Placer decides where jobs go. A fleet calls its methods one at a time, in the order of the replay's clock.
type Placer interface {
	// Start hands over a fleet that may have jobs running and waiting.
	Start(ctx context.Context, f *Fleet) error
	// Arrive hands over jobs that want a node, in order.
	Arrive(ctx context.Context, jobs []*Job) error
	// Bind returns which n of the jobs that want a node get one, and which. The fleet has room for n.
	Bind(ctx context.Context, n int) ([]Binding, error)
	// Leave tells that a job has ended.
	Leave(ctx context.Context, job *Job) error
	// AddNode tells of a new node, Cordon of one that takes no more jobs, RemoveNode of one that is gone.
	AddNode(ctx context.Context, node *Node) error
	Cordon(ctx context.Context, node *Node) error
	RemoveNode(ctx context.Context, node *Node) error
}

// Binding is a job and the node that it was given.
type Binding struct {
	Job  *Job
	Node *Node
}

// Fleet is the state of a replay.
type Fleet struct {
	Workload *Workload
	// Nodes are those that exist, the oldest first, and Waiting the jobs that have no node, the oldest first.
	Nodes   []*Node
	Waiting []*Job

	placer  Placer
	now     float64
	trace   *trace
	pending push
	ends    ends
	jobs    int
	named   int
	measure measure
}

// New returns a fleet whose caches are empty. Its nodes have ages spread over their life, so that they go one by one.
func New(w *Workload) *Fleet {
	f := &Fleet{Workload: w, trace: newTrace(w)}
	random := rand.New(rand.NewPCG(w.Seed, 2))
	for i := range w.Nodes {
		f.newNode(w.NodeLife * (float64(i) + random.Float64()) / float64(w.Nodes))
	}
	f.pending = f.trace.next()
	return f
}

func (f *Fleet) newNode(life float64) *Node {
	f.named++
	n := &Node{Name: fmt.Sprintf("node-%04d", f.named), until: f.now + life, at: f.now}
	f.Nodes = append(f.Nodes, n)
	return n
}

// Run hands the fleet to a placer and replays until so many more jobs were pushed. Every job among them that could be placed is.
func (f *Fleet) Run(ctx context.Context, p Placer, jobs int) error {
	if err := f.handOver(ctx, p); err != nil {
		return err
	}
	for last := f.jobs + jobs; f.jobs < last; {
		if err := f.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) handOver(ctx context.Context, p Placer) error {
	f.placer = p
	return p.Start(ctx, f)
}

// step replays the next event.
func (f *Fleet) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	ended, endsAt := f.ends.peek()
	aged := f.oldest()
	var err error
	switch {
	case ended != nil && endsAt <= f.pending.at && (aged == nil || endsAt <= aged.until):
		f.now = endsAt
		err = f.end(ctx, ended)
	case aged != nil && aged.until <= f.pending.at:
		f.now = max(f.now, aged.until)
		err = f.replace(ctx, aged)
	default:
		f.now = f.pending.at
		err = f.push(ctx)
	}
	if err != nil {
		return err
	}
	return f.place(ctx)
}

// oldest returns the node that is to be replaced next: all live equally long.
func (f *Fleet) oldest() *Node {
	for _, n := range f.Nodes {
		if !n.Cordoned {
			return n
		}
	}
	return nil
}

// push starts the jobs of the next push.
func (f *Fleet) push(ctx context.Context) error {
	arrived := make([]*Job, len(f.pending.works))
	for i, work := range f.pending.works {
		f.jobs++
		arrived[i] = &Job{ID: f.jobs, Project: f.pending.project, Pushed: f.now, work: work, measured: f.measure.on}
	}
	f.measure.pushed(len(arrived))
	f.Waiting = append(f.Waiting, arrived...)
	f.pending = f.trace.next()
	return f.placer.Arrive(ctx, arrived)
}

// room is how many more jobs fit on the nodes by their requests.
func (f *Fleet) room() int {
	room := 0
	for _, n := range f.Nodes {
		if !n.Cordoned {
			room += f.Workload.Fit() - len(n.Running)
		}
	}
	return room
}

// place gives nodes to as many waiting jobs as there is room for.
func (f *Fleet) place(ctx context.Context) error {
	if len(f.Waiting) == 0 {
		return nil
	}
	n := min(len(f.Waiting), f.room())
	if n == 0 {
		return nil
	}
	bindings, err := f.placer.Bind(ctx, n)
	if err != nil {
		return err
	}
	if len(bindings) != n {
		return fmt.Errorf("%d jobs were placed, and there is room for %d of %d", len(bindings), n, len(f.Waiting))
	}
	for _, b := range bindings {
		if err := f.begin(b); err != nil {
			return err
		}
	}
	return nil
}

// begin starts a job.
func (f *Fleet) begin(b Binding) error {
	at := slices.Index(f.Waiting, b.Job)
	if at < 0 || b.Node.Cordoned || len(b.Node.Running) >= f.Workload.Fit() {
		return fmt.Errorf("job %d was given to %s, which has %d jobs and room for %d (cordoned: %t; the job waited: %t)",
			b.Job.ID, b.Node.Name, len(b.Node.Running), f.Workload.Fit(), b.Node.Cordoned, at >= 0)
	}
	f.Waiting = slices.Delete(f.Waiting, at, at+1)
	b.Node.advance(f.now, f.Workload.Slots)
	b.Job.Node, b.Job.left, b.Job.Hit = b.Node, b.Job.work, b.Node.Has(b.Job.Project)
	if b.Job.Hit {
		b.Node.use(b.Job.Project, f.Workload.Cached)
	} else {
		b.Job.left *= f.Workload.Miss
	}
	b.Node.Running = append(b.Node.Running, b.Job)
	f.measure.started(b.Job, f.now, f.Workload.Fit() > f.Workload.Slots)
	f.foresee(b.Node)
	return nil
}

// end ends the first job of a node. What it cached is there for jobs that start from now on.
func (f *Fleet) end(ctx context.Context, n *Node) error {
	n.advance(f.now, f.Workload.Slots)
	j, _ := n.first(f.Workload.Slots)
	n.Running = slices.DeleteFunc(n.Running, func(other *Job) bool { return other == j })
	n.use(j.Project, f.Workload.Cached)
	f.measure.ended(j, f.now)
	f.foresee(n)
	if err := f.placer.Leave(ctx, j); err != nil || !n.Cordoned || len(n.Running) > 0 {
		return err
	}
	return f.remove(ctx, n)
}

// replace cordons a node and adds another.
func (f *Fleet) replace(ctx context.Context, n *Node) error {
	n.Cordoned = true
	if err := f.placer.Cordon(ctx, n); err != nil {
		return err
	}
	if len(n.Running) == 0 {
		if err := f.remove(ctx, n); err != nil {
			return err
		}
	}
	return f.placer.AddNode(ctx, f.newNode(f.Workload.NodeLife))
}

func (f *Fleet) remove(ctx context.Context, n *Node) error {
	f.Nodes = slices.DeleteFunc(f.Nodes, func(other *Node) bool { return other == n })
	return f.placer.RemoveNode(ctx, n)
}

// foresee notes when the first job of a node will end.
func (f *Fleet) foresee(n *Node) {
	n.changes++
	if len(n.Running) > 0 {
		_, at := n.first(f.Workload.Slots)
		heap.Push(&f.ends, end{at, n, n.changes})
	}
}
