package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func small() *Workload {
	return &Workload{Nodes: 4, Slots: 8, Utilisation: 0.6, Requests: 1, Projects: 10, Zipf: 1.3, Cached: 3, PushMin: 5, PushMax: 20, Warm: 100,
		Miss: 5, NodeLife: 20_000, Seed: 1}
}

// choosing is a placer that chooses as a function says.
type choosing struct {
	fleet   *Fleet
	waiting []*Job
	choose  func(*Fleet, map[*Node]int) *Node
	left    int
}

func (c *choosing) Start(_ context.Context, f *Fleet) error {
	c.fleet, c.waiting = f, append([]*Job{}, f.Waiting...)
	return nil
}

func (c *choosing) Arrive(_ context.Context, jobs []*Job) error {
	c.waiting = append(c.waiting, jobs...)
	return nil
}

func (c *choosing) Bind(_ context.Context, n int) ([]Binding, error) {
	jobs := map[*Node]int{}
	for _, node := range c.fleet.Nodes {
		jobs[node] = len(node.Running)
	}
	var bindings []Binding
	for _, j := range c.waiting[:n] {
		to := c.choose(c.fleet, jobs)
		jobs[to]++
		bindings = append(bindings, Binding{j, to})
	}
	c.waiting = c.waiting[n:]
	return bindings, nil
}

func (c *choosing) Leave(context.Context, *Job) error       { c.left++; return nil }
func (c *choosing) AddNode(context.Context, *Node) error    { return nil }
func (c *choosing) Cordon(context.Context, *Node) error     { return nil }
func (c *choosing) RemoveNode(context.Context, *Node) error { return nil }

// byChance chooses any node with room.
func byChance(seed uint64) *choosing {
	random := rand.New(rand.NewPCG(seed, 0))
	return &choosing{choose: func(f *Fleet, jobs map[*Node]int) *Node {
		var room []*Node
		for _, n := range f.Nodes {
			if !n.Cordoned && jobs[n] < f.Workload.Fit() {
				room = append(room, n)
			}
		}
		return room[random.IntN(len(room))]
	}}
}

func TestTheSameSeedGivesTheSameTrace(t *testing.T) {
	reseeded := small()
	reseeded.Seed = 2
	one, same, other := newTrace(small()), newTrace(small()), newTrace(reseeded)
	for range 100 {
		p := one.next()
		require.Equal(t, p, same.next())
		require.NotEqual(t, p, other.next())
		require.GreaterOrEqual(t, len(p.works), 5)
		require.LessOrEqual(t, len(p.works), 20)
		require.Less(t, p.project, 40)
	}
}

// TestTheTraceKeepsAsManySlotsBusyAsItsUtilisationSays counts the work of jobs of which half hit.
func TestTheTraceKeepsAsManySlotsBusyAsItsUtilisationSays(t *testing.T) {
	w := small()
	trace := newTrace(w)
	work, last := 0.0, 0.0
	for range 20_000 {
		p := trace.next()
		last = p.at
		for _, seconds := range p.works {
			work += seconds * (1 + w.Miss) / 2
		}
	}
	require.InDelta(t, w.Utilisation, work/last/float64(w.Nodes*w.Slots), 0.02)
}

func TestACacheDropsTheProjectNotUsedForLongest(t *testing.T) {
	n := &Node{}
	for _, project := range []int{1, 2, 3, 1, 4} {
		n.use(project, 3)
	}
	require.Equal(t, []int{4, 1, 3}, n.cache)
	require.True(t, n.Has(1))
	require.False(t, n.Has(2))
	n.use(3, 3)
	require.Equal(t, []int{3, 4, 1}, n.cache)
}

func TestJobsShareANodeThatHasTooMany(t *testing.T) {
	n := &Node{}
	for i := range 16 {
		n.Running = append(n.Running, &Job{ID: i, left: 100 + float64(i)})
	}
	j, at := n.first(8)
	require.Equal(t, 0, j.ID)
	require.InDelta(t, 200, at, 1e-9)
	n.advance(at, 8)
	require.InDelta(t, 15, n.Running[15].left, 1e-9)
	require.InDelta(t, 16*200, n.busy, 1e-9)
}

// TestNothingIsLost replays a long time of churn with overcommitted nodes, and looks at the fleet after each event.
func TestNothingIsLost(t *testing.T) {
	for _, share := range []float64{1, 0.25} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			w := small()
			w.Requests = share
			f, p := New(w), byChance(1)
			require.NoError(t, f.handOver(t.Context(), p))
			replaced := 0
			for f.jobs < 5000 {
				require.NoError(t, f.step(t.Context()))
				running, open := 0, 0
				for _, n := range f.Nodes {
					running += len(n.Running)
					require.LessOrEqual(t, len(n.Running), w.Fit())
					require.LessOrEqual(t, len(n.cache), w.Cached)
					require.False(t, n.Cordoned && len(n.Running) == 0, "an empty node that is cordoned is gone")
					if !n.Cordoned {
						open++
					}
				}
				require.Equal(t, w.Nodes, open)
				require.Equal(t, f.jobs, p.left+running+len(f.Waiting))
				require.True(t, len(f.Waiting) == 0 || f.room() == 0, "no job waits while there is room")
				replaced = f.named - w.Nodes
			}
			require.Greater(t, replaced, 3)
		})
	}
}

func TestAPlacerThatErrsIsNotBelieved(t *testing.T) {
	first := &choosing{choose: func(f *Fleet, _ map[*Node]int) *Node { return f.Nodes[0] }}
	require.ErrorContains(t, New(small()).Run(t.Context(), first, 50), "has 8 jobs and room for 8")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, New(small()).Run(ctx, byChance(1), 50), context.Canceled)
}

// TestMeasuredJobsAreThoseOfThePlacer has everything before and after placed by others.
func TestMeasuredJobsAreThoseOfThePlacer(t *testing.T) {
	f := New(small())
	require.NoError(t, f.Run(t.Context(), byChance(1), 500))
	r, err := f.Measure(t.Context(), byChance(2), byChance(3), 300)
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Jobs, 300)
	require.Len(t, r.times, r.Jobs, "each has ended")
	require.Greater(t, r.HitRate, 0.05)
	require.Less(t, r.HitRate, 0.95)
	require.Greater(t, r.P95, r.Mean)
	require.Greater(t, r.MaxLoad, 1.0)
	require.InDelta(t, 0.6, r.Busy, 0.4)

	again := New(small())
	require.NoError(t, again.Run(t.Context(), byChance(1), 500))
	same, err := again.Measure(t.Context(), byChance(2), byChance(3), 300)
	require.NoError(t, err)
	require.Equal(t, r, same)
}

func TestPoolIsOverAllJobs(t *testing.T) {
	all := Pool(
		&Result{Jobs: 2, hits: 2, times: []float64{30, 10}, MaxLoad: 1, Busy: 0.5},
		&Result{Jobs: 3, hits: 1, times: []float64{20, 40, 50}, MaxLoad: 2, Busy: 0.7},
	)
	require.Equal(t, 5, all.Jobs)
	require.InDelta(t, 0.6, all.HitRate, 1e-9)
	require.InDelta(t, 30, all.Mean, 1e-9)
	require.InDelta(t, 50, all.P95, 1e-9)
	require.InDelta(t, 1.5, all.MaxLoad, 1e-9)
	require.InDelta(t, 0.6, all.Busy, 1e-9)
}
