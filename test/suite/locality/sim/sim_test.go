package sim

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
)

func workload(nodes int, requests float64) *fleet.Workload {
	return &fleet.Workload{Nodes: nodes, Slots: 8, Utilisation: 0.6, Requests: requests, Projects: 10, Zipf: 1.3, Cached: 10, PushMin: 5,
		PushMax: 20, Warm: 100, Miss: 5, NodeLife: 86_400, Seed: 1}
}

func started(t *testing.T, nodes int, ladder Ladder) *Scheduler {
	s := NewScheduler(ladder, 1)
	require.NoError(t, s.Start(t.Context(), fleet.New(workload(nodes, 1))))
	return s
}

// TestScoresAreThoseOfTheScheduler has them reckoned by hand, as leastResourceScorer and balancedResourceScorer do it.
func TestScoresAreThoseOfTheScheduler(t *testing.T) {
	// An empty node: (16000-2200)*100/16000 = 86 and (49152-4496)*100/49152 = 90 make 88; balanced by 97 with the job, and by 100
	// without, makes 50+(50-3)/2 = 73.
	full := scores(workload(2, 1))
	require.Len(t, full, 8)
	require.Equal(t, int64(88+73), full[0])
	// The eighth job: more processors than there are, with what the helpers count for, and 29% of the memory left; balance 83 and 85.
	require.Equal(t, int64(0+29)/2+74, full[7])

	quarter := scores(workload(2, 0.25))
	require.Len(t, quarter, 32)
	// 95 and 97; 99 with the job, as without any.
	require.Equal(t, int64(95+97)/2+74, quarter[0])
	require.True(t, slices.IsSortedFunc(quarter, func(a, b int64) int { return int(b - a) }), "more jobs, less score: %v", quarter)
}

func TestLargeFleetsAreSampled(t *testing.T) {
	for nodes, want := range map[int]int{20: 20, 99: 99, 100: 100, 120: 100, 300: 144, 1000: 420, 5000: 500, 8000: 400} {
		require.Equal(t, want, sampled(nodes), "%d nodes", nodes)
	}
	s := started(t, 300, Ladder{})
	seen := map[string]int{}
	for range 300 {
		s.sample()
		require.Len(t, s.feasible, 144)
		for _, n := range s.feasible {
			seen[n.Name]++
		}
	}
	require.Len(t, seen, 300)
	for name, times := range seen {
		require.InDelta(t, 144, times, 1, name)
	}
}

func TestTheLadderIsLinear(t *testing.T) {
	l := Ladder{Nodes: 16, Weight: 100, LastWeight: 10}
	require.Equal(t, []int64{100, 94, 88, 10}, []int64{l.Term(0), l.Term(1), l.Term(2), l.Term(15)})
	require.Equal(t, int64(75), Ladder{Nodes: 3, Weight: 100, LastWeight: 50}.Term(1))
	require.Equal(t, int64(100), Ladder{Nodes: 1, Weight: 100, LastWeight: 10}.Term(0))
}

func TestTheOrderIsThatOfTheWebhook(t *testing.T) {
	set := rendezvous.NewSet([]string{"node-1", "node-2", "node-3", "node-4", "node-5"})
	for project := range 50 {
		require.Equal(t, inject.CacheOrder(set, Namespace, fmt.Sprintf("gitlab:%d", project)), set.Order(Key(project)))
	}
}

// TestAPushGoesDownTheLadder has 12 jobs of a project come to empty nodes: each rung costs as much as a job more on a node.
func TestAPushGoesDownTheLadder(t *testing.T) {
	s := started(t, 20, Ladder{Nodes: 16, Weight: 100, LastWeight: 10})
	order := s.set.Order(Key(7))
	s.prefer(7)
	got := map[string]int{}
	for i := range 12 {
		to := s.choose()
		if i == 0 {
			require.Equal(t, order[0], to.Name)
		}
		to.jobs++
		got[to.Name]++
	}
	require.Less(t, len(got), 8, "on few nodes: %v", got)
	for i, name := range order[1:] {
		require.LessOrEqual(t, got[name], got[order[i]]+1, "on the first ones most: %v", got)
	}

	blind := started(t, 20, Ladder{})
	blind.prefer(7)
	spread := map[string]int{}
	for range 12 {
		to := blind.choose()
		to.jobs++
		spread[to.Name]++
	}
	require.Len(t, spread, 12)
}

func TestFullAndCordonedNodesGetNothing(t *testing.T) {
	s := started(t, 3, Ladder{Nodes: 3, Weight: 100, LastWeight: 10})
	order := s.set.Order(Key(1))
	s.byName[order[0]].jobs = 8
	s.byName[order[1]].Cordoned = true
	s.prefer(1)
	for range 8 {
		to := s.choose()
		require.Equal(t, order[2], to.Name)
		to.jobs++
	}
}

func TestTheOracleSeesCachesAndWhatIsUsed(t *testing.T) {
	f := fleet.New(workload(20, 0.25))
	o := NewOracle(1)
	require.NoError(t, f.Run(t.Context(), o, 2000))
	project := -1
	for p := range 200 {
		if slices.ContainsFunc(f.Nodes, func(n *fleet.Node) bool { return n.Has(p) && o.jobs[n] < 8 && !n.Cordoned }) {
			project = p
		}
	}
	require.GreaterOrEqual(t, project, 0)
	require.True(t, o.choose(project).Has(project))
	for _, n := range f.Nodes {
		if n.Has(project) {
			o.jobs[n] = 8 // there is room by requests, and no slot
		}
	}
	require.False(t, o.choose(project).Has(project))
}

// TestALadderFindsCaches is what it is all for.
func TestALadderFindsCaches(t *testing.T) {
	found := map[string]float64{}
	policies, err := ParsePolicies("blind, 3:100:50,16:100:10,oracle")
	require.NoError(t, err)
	for _, p := range policies {
		f, placer := fleet.New(workload(50, 1)), p.Placer(1)
		require.NoError(t, f.Run(t.Context(), placer, 3000))
		r, err := f.Measure(t.Context(), placer, placer, 2000)
		require.NoError(t, err)
		found[p.Name] = r.HitRate
	}
	require.Greater(t, found["3:100:50"], found[Blind]+0.1)
	require.Greater(t, found["16:100:10"], found["3:100:50"]+0.03)
	require.Greater(t, found["16:100:10"], 0.95*found[Greedy])
}

func TestPoliciesAreParsed(t *testing.T) {
	policies, err := ParsePolicies("blind,32:70:1,oracle")
	require.NoError(t, err)
	require.Equal(t, []Policy{{Name: Blind}, {Name: "32:70:1", Ladder: Ladder{32, 70, 1}}, {Name: Greedy}}, policies)
	require.Equal(t, "ladder of 32, 70 to 1", policies[1].Title())
	for _, bad := range []string{"", "seeing", "16", "16:100", "33:100:10", "0:100:10", "16:101:10", "16:10:100", "16:100:0", "16:100:10:1"} {
		_, err := ParsePolicies("blind," + bad)
		require.ErrorContains(t, err, "is no policy", "%q", bad)
	}
}
