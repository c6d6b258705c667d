package inject

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const byCache = "scheduling: {cacheAffinity: {enabled: true}}\n"

// readyOn returns an engine that is ready on n nodes.
func readyOn(d *engine.Discovered, n int) engine.Ready {
	now := metav1.Now()
	ready, _ := engine.NewReady(func(yield func(engine.Pod) bool) {
		for i := range n {
			name := d.Workload.Name + "-" + fmt.Sprint(i)
			object := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: d.Workload.Namespace, CreationTimestamp: now,
					OwnerReferences: []metav1.OwnerReference{{Kind: d.Workload.Kind, Name: d.Workload.Name, Controller: new(bool)}}},
				Spec: corev1.PodSpec{NodeName: fmt.Sprint("node-", i), Containers: []corev1.Container{{Name: "dagger-engine"}}},
			}
			*object.OwnerReferences[0].Controller = true
			if pod, is := engine.PodOf(object); !is || !yield(pod) {
				return
			}
		}
	}, now.Time, nil)
	return ready
}

// jobOf is a pod of GitLab Runner's, of a project.
func jobOf(project int, spec string) string {
	return fmt.Sprintf("{metadata: {labels: {dagger.io/inject: 'true', project.runner.gitlab.com/id: '%d'}, "+
		"annotations: {job.runner.gitlab.com/id: '1'}}, spec: {%scontainers: [{name: build}]}}", project, spec)
}

func preferred(terms string) string {
	return "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [" + terms + "]}}, "
}

func preferences(t *testing.T, in Input, plan *Plan) []corev1.PreferredSchedulingTerm {
	t.Helper()
	pod := patched(t, in, plan)
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return nil
	}
	return pod.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
}

func TestTheLadderFallsFromWeightToLastWeight(t *testing.T) {
	for _, c := range []struct {
		set   string
		ready int
		want  []int32
	}{
		{"", 20, []int32{100, 97, 94, 91, 88, 85, 82, 79, 76, 73, 70, 67, 64, 61, 58, 55}},
		{"", 3, []int32{100, 97, 94}}, // the steps stay gentle where nodes are few
		{", nodes: 3, weight: 100, lastWeight: 50", 20, []int32{100, 75, 50}},
		{", nodes: 1, weight: 7, lastWeight: 7", 20, []int32{7}},
		{", nodes: 2, weight: 5, lastWeight: 5", 20, []int32{5, 5}},
	} {
		e := anEngine("dagger", "v0.21.8", 1, 1)
		in := input(t, jobOf(42, ""))
		in.Policies = among(t, "scheduling: {cacheAffinity: {enabled: true"+c.set+"}}", e)
		in.Ready = readyOn(e, c.ready)
		plan := Decide(in)
		require.Equal(t, CacheAffinityPreferred, plan.CacheAffinity)
		set := in.Ready[e.Workload].Nodes
		require.Equal(t, &CacheAffinityStatus{Key: "gitlab:42", Nodes: len(c.want), Set: set.ID()}, plan.Status.CacheAffinity)
		var weights []int32
		var nodes []string
		for _, term := range preferences(t, in, plan) {
			weights = append(weights, term.Weight)
			require.Empty(t, term.Preference.MatchExpressions)
			require.Equal(t, corev1.NodeSelectorRequirement{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn,
				Values: term.Preference.MatchFields[0].Values}, term.Preference.MatchFields[0])
			nodes = append(nodes, term.Preference.MatchFields[0].Values...)
		}
		require.Equal(t, c.want, weights)
		require.Equal(t, set.Order("ci\x00gitlab:42")[:len(c.want)], nodes)
	}
}

// TestWhyAPodIsNotPlacedByCache has every result. The pod is injected all the same.
func TestWhyAPodIsNotPlacedByCache(t *testing.T) {
	socket, replicas := anEngine("dagger", "v0.21.8", 1, 1), anEngine("dagger", "v0.21.8", 3, 3, ofReplicas(3))
	address := func(d *engine.Discovered) {
		d.Socket, d.Service = nil, &engine.Service{Address: "dagger.dagger.svc:1234", Safe: true}
	}
	byService := anEngine("dagger", "v0.21.8", 1, 1, address)
	named := preferred("{weight: 3, preference: {matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}}")
	cases := map[CacheAffinityResult]struct {
		policy string
		engine *engine.Discovered
		ready  int
		pod    string
	}{
		CacheAffinityOff:          {"", socket, 5, jobOf(1, "")},
		CacheAffinityPreferred:    {byCache, socket, 5, jobOf(1, "")},
		CacheAffinityReplica:      {byCache, replicas, 3, jobOf(1, "")},
		CacheAffinityKept:         {byCache, socket, 5, jobOf(1, named)},
		CacheAffinityNoKey:        {byCache, socket, 5, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{}]}}"},
		CacheAffinityFewNodes:     {byCache, socket, 1, jobOf(1, "")},
		CacheAffinityNodeName:     {byCache, socket, 5, jobOf(1, "nodeName: node-1, ")},
		CacheAffinityNotNodeLocal: {byCache, byService, 5, jobOf(1, "")},
		CacheAffinityNoReplica:    {byCache, replicas, 0, jobOf(1, "")},
	}
	require.Len(t, cases, len(CacheAffinityResults)+1)
	for want, c := range cases {
		in := input(t, c.pod)
		in.Policies, in.Ready, in.Trace = among(t, c.policy, c.engine), readyOn(c.engine, c.ready), &Trace{}
		plan := Decide(in)
		require.Equal(t, DecisionInjected, plan.Decision, want)
		require.Equal(t, want, plan.CacheAffinity)
		if want == CacheAffinityOff {
			require.Nil(t, in.Trace.CacheAffinity)
			require.Zero(t, len(preferences(t, in, plan)))
			continue
		}
		require.Equal(t, want, in.Trace.CacheAffinity.Result)
		require.Equal(t, want == CacheAffinityPreferred || want == CacheAffinityReplica, plan.Status.CacheAffinity != nil, want)
	}
}

// TestPreferencesOnlyComeAfterThePodsOwn tries pods with preferences of their own, ladders and sets of all sizes. The second call of an
// admission may come to another replica, which knows other nodes.
func TestPreferencesOnlyComeAfterThePodsOwn(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	e := anEngine("dagger", "v0.21.8", 1, 1)
	for range 200 {
		own, nodes, ready := random.IntN(17), 1+random.IntN(32), random.IntN(40)
		text := jobOf(random.IntN(9), preferred(list(own, "{weight: 7, preference: {matchExpressions: [{key: 'k#', operator: Exists}]}}")))
		in := input(t, text)
		in.Policies = among(t, fmt.Sprintf("scheduling: {cacheAffinity: {enabled: true, nodes: %d}}", nodes), e)
		in.Ready = readyOn(e, ready)
		first := Decide(in)
		again := in
		again.Ready = readyOn(e, ready)
		require.Equal(t, first, Decide(again), "two replicas with equal sets")

		terms := preferences(t, in, first)
		want := min(nodes, ready)
		if ready < 2 {
			want = 0
		}
		require.Len(t, terms, own+want)
		for i, term := range terms[:own] {
			require.Equal(t, fmt.Sprint("k", i), term.Preference.MatchExpressions[0].Key)
		}
		second := in
		text2, err := patch.Apply([]byte(in.Pod.Text()), first.Operations)
		require.NoError(t, err)
		root, err := new(rawjson.Document).Parse(string(text2))
		require.NoError(t, err)
		second.Pod = root
		require.Empty(t, Decide(second).Operations)

		second.Ready = readyOn(e, ready+3)
		later := Decide(second)
		if want > 0 && nodes > ready {
			require.Equal(t, &CacheAffinityStatus{Key: first.Status.CacheAffinity.Key, Nodes: want}, later.Status.CacheAffinity,
				"the pod keeps them, and the status says so")
		}
		require.Len(t, preferences(t, second, later), max(own+want, own+map[bool]int{true: min(nodes, ready+3)}[want == 0]))
	}
}

// TestAnUpgradeLeavesProjectsWhereTheyAre has two engines side by side, the newer one on most of the nodes.
func TestAnUpgradeLeavesProjectsWhereTheyAre(t *testing.T) {
	before, after := anEngine("a", "v0.20.8", 60, 60), anEngine("b", "v0.21.8", 57, 60)
	policies := []*Policies{among(t, byCache, before), among(t, byCache, after, before)}
	ready := readyOn(before, 60)
	for w, of := range readyOn(after, 57) {
		ready[w] = of
	}
	moved := 0
	for project := range 300 {
		var first []string
		for _, p := range policies {
			in := input(t, jobOf(project, ""))
			in.Policies, in.Ready = p, ready
			first = append(first, preferences(t, in, Decide(in))[0].Preference.MatchFields[0].Values[0])
		}
		if first[0] != first[1] {
			moved++
		}
	}
	require.Less(t, moved, 300*3/60*3, "of 300 projects, those whose first node is one of the 3 without the new engine move")
}

// TestProjectsShareReplicas has StatefulSets with several replicas: the jobs of a project come to the same one, and projects are spread.
func TestProjectsShareReplicas(t *testing.T) {
	e := anEngine("engine", "v0.21.8", 3, 3, ofReplicas(3))
	ready := readyOn(e, 4) // the last one is scaled down, and still there
	counts := map[string]int{}
	for project := range 90 {
		hosts := map[string]bool{}
		for job := range 3 {
			in := input(t, strings.Replace(jobOf(project, ""), "{labels", fmt.Sprintf("{name: job-%d, labels", job), 1))
			in.Policies, in.Ready = among(t, byCache, e), ready
			plan := Decide(in)
			require.Equal(t, CacheAffinityReplica, plan.CacheAffinity)
			require.Zero(t, plan.Status.CacheAffinity.Nodes)
			hosts[plan.Status.Engine] = true
		}
		require.Len(t, hosts, 1)
		for host := range hosts {
			counts[host]++
		}
	}
	require.Len(t, counts, 3)
	for host, n := range counts {
		require.InDelta(t, 30, n, 15, host)
	}
}

func TestNamespacesMayOnlyTurnItOff(t *testing.T) {
	const on, off = "scheduling: {cacheAffinity: {enabled: true}}", "scheduling: {cacheAffinity: {enabled: false}}"
	resolve := func(cluster, namespace string) error {
		return NewPolicies(config.FromFile("cluster", []byte(header+cluster), config.OriginCluster),
			config.FromFile("namespace", []byte(header+namespace), config.OriginNamespace), nil).Err()
	}
	require.NoError(t, resolve(on, off))
	require.NoError(t, resolve(on, on))
	require.NoError(t, resolve(on, "scheduling: {cacheAffinity: {key: project}}"))
	require.NoError(t, resolve("", off))
	require.ErrorContains(t, resolve("", on), "namespace: line 3: scheduling.cacheAffinity.enabled: locked: a namespace may turn it off")
	require.ErrorContains(t, resolve(off, on), "locked: a namespace may turn it off, and the cluster's policy does not turn it on")
	require.ErrorContains(t, resolve(on, "scheduling: {cacheAffinity: {nodes: 32}}"), "scheduling.cacheAffinity.nodes: locked")
	for set, want := range map[string]string{
		"nodes: 33": "nodes: want 1 to 32, got 33", "nodes: 0": "want 1 to 32", "weight: 101": "weight: want 1 to 100, got 101",
		"lastWeight: 0": "lastWeight: want 1 to 100, got 0", "key: branch": `key: "branch" is not accepted: accepted is auto, project, group`,
		"weight: 5": "lastWeight: want at most scheduling.cacheAffinity.weight, which is 5, got 55",
	} {
		require.ErrorContains(t, resolve("scheduling: {cacheAffinity: {"+set+"}}", ""), want)
	}
}

// TestReadyPodsCountForAWhile has what becomes of an engine's pod.
func TestReadyPodsCountForAWhile(t *testing.T) {
	now := time.Unix(1_770_000_000, 0)
	ago := func(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }
	condition := func(status corev1.ConditionStatus, since time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: ago(since)}}
		}
	}
	deleted := func(grace, since time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			at, seconds := metav1.NewTime(now.Add(grace-since)), int64(grace/time.Second)
			p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &seconds
		}
	}
	cases := map[string]struct {
		changes []func(*corev1.Pod)
		counts  bool
		until   time.Duration
	}{
		"ready":                        {[]func(*corev1.Pod){condition("True", time.Hour)}, true, 0},
		"unready for a moment":         {[]func(*corev1.Pod){condition("False", 20*time.Second)}, true, 40 * time.Second},
		"unready for a minute":         {[]func(*corev1.Pod){condition("False", time.Minute)}, false, 0},
		"just created":                 {[]func(*corev1.Pod){func(p *corev1.Pod) { p.CreationTimestamp = ago(time.Second) }}, true, 59 * time.Second},
		"created long ago, no status":  {nil, false, 0},
		"being deleted":                {[]func(*corev1.Pod){condition("True", time.Hour), deleted(5*time.Minute, 10*time.Second)}, true, 50 * time.Second},
		"being deleted for some time":  {[]func(*corev1.Pod){condition("True", time.Hour), deleted(5*time.Minute, 2*time.Minute)}, false, 0},
		"ended":                        {[]func(*corev1.Pod){condition("True", 0), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }}, false, 0},
		"not scheduled yet":            {[]func(*corev1.Pod){condition("True", 0), func(p *corev1.Pod) { p.Spec.NodeName = "" }}, false, 0},
		"no engine":                    {[]func(*corev1.Pod){condition("True", 0), func(p *corev1.Pod) { p.Spec.Containers[0].Name = "web" }}, false, 0},
		"an engine by its image alone": {[]func(*corev1.Pod){condition("True", 0), byImage}, true, 0},
		"nobody's":                     {[]func(*corev1.Pod){condition("True", 0), func(p *corev1.Pod) { p.OwnerReferences = nil }}, false, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			yes := true
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "e-1", Namespace: "dagger", CreationTimestamp: ago(time.Hour),
					OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: "e", Controller: &yes}}},
				Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "dagger-engine"}}},
			}
			for _, change := range c.changes {
				change(pod)
			}
			whole, isWhole := engine.PodOf(pod)
			engine.TrimPod(pod)
			trimmed, is := engine.PodOf(pod)
			require.Equal(t, isWhole, is)
			require.Equal(t, whole, trimmed, "trimming loses nothing")
			ready, changes := engine.NewReady(func(yield func(engine.Pod) bool) {
				if is {
					yield(trimmed)
				}
			}, now, nil)
			require.Equal(t, c.counts, ready[engine.Workload{Kind: "DaemonSet", Namespace: "dagger", Name: "e"}].Nodes.Len() == 1)
			require.Equal(t, c.until == 0, changes.IsZero())
			if c.until != 0 {
				require.True(t, now.Add(c.until).Equal(changes), changes)
			}
		})
	}
}

func byImage(p *corev1.Pod) {
	p.Spec.Containers[0] = corev1.Container{Name: "main", Image: "registry.dagger.io/engine:v0.21.8"}
}

func TestPodsOfADeploymentBelongToIt(t *testing.T) {
	yes := true
	pod, is := engine.PodOf(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "e-7d9f-x", Namespace: "dagger", Labels: map[string]string{"pod-template-hash": "7d9f"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "e-7d9f", Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "dagger-engine"}}},
	})
	require.True(t, is)
	require.Equal(t, engine.Workload{Kind: "Deployment", Namespace: "dagger", Name: "e"}, pod.Workload())
}

// TestSetsThatStayAreKept keeps what a set remembers while other engines change.
func TestSetsThatStayAreKept(t *testing.T) {
	a, b := anEngine("a", "v0.21.8", 1, 1), anEngine("b", "v0.21.8", 1, 1)
	pods := func(n int) func(yield func(engine.Pod) bool) {
		return func(yield func(engine.Pod) bool) {
			for _, e := range []struct {
				d *engine.Discovered
				n int
			}{{a, 3}, {b, n}} {
				for i := range e.n {
					yes := true
					pod, _ := engine.PodOf(&corev1.Pod{
						ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(e.d.Workload.Name, i), Namespace: "dagger", CreationTimestamp: metav1.Now(),
							OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Name: e.d.Workload.Name, Controller: &yes}}},
						Spec: corev1.PodSpec{NodeName: fmt.Sprint("node-", i), Containers: []corev1.Container{{Name: "dagger-engine"}}},
					})
					if !yield(pod) {
						return
					}
				}
			}
		}
	}
	one, _ := engine.NewReady(pods(2), time.Now(), nil)
	two, _ := engine.NewReady(pods(4), time.Now(), one)
	require.Same(t, one[a.Workload].Nodes, two[a.Workload].Nodes)
	require.NotSame(t, one[b.Workload].Nodes, two[b.Workload].Nodes)
}

// TestTheLadderIsBoundedByTheEstimate has the longest names that nodes can have.
func TestTheLadderIsBoundedByTheEstimate(t *testing.T) {
	text := appendNodePreference(nil, 100, strings.Repeat("n", 253))
	require.Less(t, len(text), maxNodePreference)
	require.True(t, json.Valid(text))
	p := among(t, "scheduling: {cacheAffinity: {enabled: true, nodes: 32}}", anEngine("e", "v0.21.8", 1, 1))
	require.Equal(t, 32*maxNodePreference, p.MostAdded(1)-among(t, "", anEngine("e", "v0.21.8", 1, 1)).MostAdded(1))
	require.True(t, slices.IsSorted(p.CacheAffinityNamespaces()))
	require.Equal(t, []string{"dagger"}, p.CacheAffinityNamespaces())
}
