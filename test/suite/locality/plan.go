package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/report"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// plan is what is to be measured.
type plan struct {
	cells, simulated []report.Cell
	policies         []sim.Policy
	seeds            int
	// jobs is how many jobs are measured a run; 0 for a number that depends on the nodes.
	jobs  int
	lanes int
}

// workload is that of a cell: half of the jobs find their cache on 100 nodes without a hint.
func workload(c report.Cell, seed int) *fleet.Workload {
	return &fleet.Workload{
		Nodes: c.Nodes, Slots: 8, Utilisation: c.Utilisation, Requests: c.Requests, Projects: 10, Zipf: 1.3, Cached: 10,
		PushMin: 5, PushMax: 20, Warm: 100, Miss: 5, NodeLife: 24 * 60 * 60, Seed: uint64(seed + 1),
	}
}

// large is the number of nodes from which on one trace has enough jobs, and there is no oracle: that looks at every node for every job.
const large = 1000

// warmUp is how many jobs a node are replayed before any is measured: the simulation fills the caches as the scheduler would. With much
// fewer, a busy fleet is still full of the jobs that found its caches empty.
const warmUp = 100

// measured returns how many jobs a run measures.
func (p *plan) measured(c report.Cell) int {
	if p.jobs > 0 {
		return p.jobs
	}
	return min(max(200, 3*c.Nodes), 10_000)
}

// seedsOf returns how many traces a policy is measured on in a cell.
func (p *plan) seedsOf(c report.Cell, policy sim.Policy) int {
	switch {
	case c.Nodes <= large:
		return p.seeds
	case policy.Name == sim.Greedy:
		return 0
	default:
		return 1
	}
}

// task is one run: a policy on one trace.
type task struct {
	cell   report.Cell
	policy sim.Policy
	seed   int
	// real says whether the real scheduler places jobs, besides the simulation.
	real                bool
	measured, simulated *fleet.Result
	// scheduler is the version of the real one.
	scheduler string
}

// tasks returns all runs, the largest first.
func (p *plan) tasks() []*task {
	var tasks []*task
	for _, cells := range [][]report.Cell{p.cells, p.simulated} {
		for _, cell := range cells {
			for _, policy := range p.policies {
				for seed := range p.seedsOf(cell, policy) {
					real := policy.Name != sim.Greedy && slices.Contains(p.cells, cell)
					tasks = append(tasks, &task{cell: cell, policy: policy, seed: seed, real: real})
				}
			}
		}
	}
	slices.SortStableFunc(tasks, func(a, b *task) int { return b.cell.Nodes - a.cell.Nodes })
	return tasks
}

// replay returns the fleet of a task, warmed up, and who warmed it.
func (t *task) replay(ctx context.Context) (*fleet.Fleet, fleet.Placer, error) {
	w := workload(t.cell, t.seed)
	f, placer := fleet.New(w), t.policy.Placer(w.Seed)
	return f, placer, f.Run(ctx, placer, warmUp*w.Nodes)
}

// simulate has the simulation place the jobs.
func (t *task) simulate(ctx context.Context, jobs int) error {
	f, placer, err := t.replay(ctx)
	if err == nil {
		t.simulated, err = f.Measure(ctx, placer, placer, jobs)
	}
	return err
}

// measure has a cluster's scheduler place them.
func (t *task) measure(ctx context.Context, c *cluster, run string, jobs int) error {
	f, placer, err := t.replay(ctx)
	if err != nil {
		return err
	}
	if err := c.usePolicy(ctx, t.policy.Ladder); err != nil {
		return err
	}
	t.scheduler = strings.Replace(c.version, "Kubernetes", "kube-scheduler", 1)
	p := newPlacer(c, run, t.policy.Ladder)
	if t.measured, err = f.Measure(ctx, p, placer, jobs); err != nil && ctx.Err() == nil {
		return errors.Join(err, c.said())
	}
	return errors.Join(err, p.clear(ctx))
}

// run does all tasks on so many clusters at a time, and reports.
func (p *plan) run(ctx context.Context, start func(context.Context) (*cluster, error), progress io.Writer) (*report.Report, error) {
	tasks := p.tasks()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan *task, len(tasks))
	for _, t := range tasks {
		queue <- t
	}
	close(queue)
	l := &log{out: progress, of: len(tasks)}
	began := time.Now()
	var lanes sync.WaitGroup
	for range p.lanes {
		lanes.Go(func() {
			if err := p.lane(ctx, start, queue, l); err != nil {
				cancel(err)
			}
		})
	}
	lanes.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(progress, "%d runs after %s\n", len(tasks), time.Since(began).Round(time.Second))
	return p.report(tasks), nil
}

// lane does tasks of the queue with a cluster of its own, which is started with the first that needs it.
func (p *plan) lane(ctx context.Context, start func(context.Context) (*cluster, error), queue <-chan *task, l *log) (err error) {
	var c *cluster
	defer func() {
		if c != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	for n := 0; ; n++ {
		t, more := <-queue
		if !more || ctx.Err() != nil {
			return nil
		}
		began := time.Now()
		if t.real {
			if c == nil {
				if c, err = start(ctx); err != nil {
					return err
				}
			}
			if err := t.measure(ctx, c, fmt.Sprintf("run-%d", n), p.measured(t.cell)); err != nil {
				return fmt.Errorf("%s, %s, seed %d: %w", t.cell, t.policy.Title(), t.seed, err)
			}
		}
		if err := t.simulate(ctx, p.measured(t.cell)); err != nil {
			return fmt.Errorf("%s, %s, seed %d, simulated: %w", t.cell, t.policy.Title(), t.seed, err)
		}
		l.done(t, time.Since(began))
	}
}

// log tells of progress.
type log struct {
	mu        sync.Mutex
	out       io.Writer
	count, of int
}

func (l *log) done(t *task, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	found := t.simulated
	if t.measured != nil {
		found = t.measured
	}
	_, _ = fmt.Fprintf(l.out, "%d of %d: %s, %s, seed %d: %.1f%% of %d jobs hit, after %.1f s\n", l.count, l.of, t.cell, t.policy.Title(),
		t.seed, 100*found.HitRate, found.Jobs, took.Seconds())
}

// report pools the seeds of each cell and policy.
func (p *plan) report(tasks []*task) *report.Report {
	r := &report.Report{Seeds: p.seeds}
	rows := func(cells []report.Cell) []report.Row {
		var rows []report.Row
		for _, cell := range cells {
			row := report.Row{Cell: cell}
			for _, policy := range p.policies {
				if f := figures(tasks, cell, policy); f.Simulated != nil {
					row.Policies = append(row.Policies, f)
				}
			}
			rows = append(rows, row)
		}
		return rows
	}
	for _, t := range tasks {
		r.Scheduler = cmp.Or(r.Scheduler, t.scheduler)
	}
	r.Measured, r.Simulated = rows(p.cells), rows(p.simulated)
	return r
}

func figures(tasks []*task, cell report.Cell, policy sim.Policy) report.Figures {
	f := report.Figures{Policy: policy}
	var measured, simulated []*fleet.Result
	for _, t := range tasks {
		if t.cell == cell && t.policy == policy {
			simulated = append(simulated, t.simulated)
			if t.measured != nil {
				measured = append(measured, t.measured)
			}
		}
	}
	if len(simulated) > 0 {
		f.Simulated = fleet.Pool(simulated...)
	}
	if len(measured) > 0 {
		f.Measured = fleet.Pool(measured...)
	}
	return f
}
