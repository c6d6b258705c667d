package inject_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/inject/rendezvous"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

// BenchmarkDecide is one decision, the index of the pod's JSON included.
func BenchmarkDecide(b *testing.B) {
	for _, c := range fixtures.All(b) {
		switch c.Name {
		case "gha-dind", "wait-socket-arc", "gitlab-default", "mesh-istio-native-gitlab-default":
		default:
			continue
		}
		pod, facts, policies := string(c.Pod(b)), c.Facts(b), c.Policies(b)
		b.Run(c.Name, func(b *testing.B) {
			b.SetBytes(int64(len(pod)))
			b.ReportAllocs()
			var d rawjson.Document
			for b.Loop() {
				root, err := d.Parse(pod)
				if err != nil {
					b.Fatal(err)
				}
				if plan := inject.Decide(inject.Input{Pod: root, Namespace: facts, Policies: policies, Version: "dev"}); len(plan.Operations) == 0 {
					b.Fatal(plan.Reason)
				}
			}
		})
	}
}

// TestADecisionAllocatesLittle bounds what a decision on a runner's pod allocates, the index of its JSON included. BenchmarkDecide shows
// what it is: 30 to 36 at the time of writing.
func TestADecisionAllocatesLittle(t *testing.T) {
	const most = 45
	measured := 0
	for _, c := range fixtures.All(t) {
		switch c.Name {
		case "gha-dind", "wait-socket-arc", "gitlab-default", "cache-gitlab":
		default:
			continue
		}
		pod, facts, policies, ready := string(c.Pod(t)), c.Facts(t), c.Policies(t), c.Ready(t)
		var d rawjson.Document
		allocations := testing.AllocsPerRun(100, func() {
			root, err := d.Parse(pod)
			if err != nil {
				t.Fatal(err)
			}
			inject.Decide(inject.Input{Pod: root, Namespace: facts, Policies: policies, Ready: ready, Version: "dev"})
		})
		require.LessOrEqual(t, allocations, float64(most), c.Name)
		measured++
	}
	require.Equal(t, 4, measured)
}

// explicitPolicy names what the engine of the case empty-policy-reads-the-engine has.
const explicitPolicy = `
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {socket: {hostPath: /run/dagger-dagger-dagger-helm}}
cli: {image: registry.dagger.io/engine:v0.21.8}
scheduling:
  tolerations: [{key: dagger-runner, operator: Exists, effect: NoSchedule}]
  nodeSelector: {pool: ci}
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{matchExpressions: [{key: actions-runner, operator: Exists}]}]
`

// BenchmarkEngines decides on the same pod in turn with one engine in the cluster and with two. The metric is what the second
// costs of the first: the order of engines is worked out before, and a pod passes over them.
func BenchmarkEngines(b *testing.B) {
	of := func(name, version string) *engine.Discovered {
		return &engine.Discovered{
			Identity: engine.Identity{
				Workload: engine.Workload{Kind: "DaemonSet", Namespace: "dagger", Name: name}, Version: version,
				Rollout: &engine.Rollout{Wanted: 3, Ready: 3},
			},
			Image: "registry.dagger.io/engine:" + version, Socket: &engine.SocketOnNode{HostPath: "/run/" + name, File: "engine.sock"},
			NodeSelector: map[string]string{"pool": "ci"},
			Tolerations:  []corev1.Toleration{{Key: "dagger-runner", Operator: corev1.TolerationOpExists}},
		}
	}
	among := func(engines ...*engine.Discovered) *inject.Policies {
		text := "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nwait: {image: w}\n"
		return inject.NewPolicies(config.FromFile("test", []byte(text), config.OriginCluster), nil,
			func(string, labels.Selector) (*engine.Found, error) {
				return &engine.Found{Engines: engines}, nil
			})
	}
	cases := fixtures.All(b)
	c := cases[slices.IndexFunc(cases, func(c fixtures.Case) bool { return c.Name == "gha-none-labelled" })]
	ratio := inTurn(b, string(c.Pod(b)), c.Facts(b), among(of("new", "v0.21.8")), among(of("old", "v0.20.8"), of("new", "v0.21.8")))
	b.ReportMetric(ratio, "x-one")
}

// BenchmarkDiscovery decides on the same pod in turn under a policy that names the engine and under an empty one for which it
// was discovered. The metric is what the second costs of the first: discovery is no part of a decision, so it is 1.
func BenchmarkDiscovery(b *testing.B) {
	const name = "empty-policy-reads-the-engine"
	cases := fixtures.All(b)
	c := cases[slices.IndexFunc(cases, func(c fixtures.Case) bool { return c.Name == name })]
	b.ReportMetric(inTurn(b, string(c.Pod(b)), c.Facts(b), compile(b, explicitPolicy), c.Policies(b)), "x-explicit")
}

// inTurn decides on a pod under two policies in turn, and returns what the second costs of the first.
func inTurn(b *testing.B, pod string, facts inject.Namespace, one, other *inject.Policies) float64 {
	var operations [2]int
	medians := medians(b, pod, func(i int, root rawjson.Value) {
		policies := [...]*inject.Policies{one, other}[i]
		operations[i] = len(inject.Decide(inject.Input{Pod: root, Namespace: facts, Policies: policies, Version: "dev"}).Operations)
	})
	if operations[0] == 0 || operations[0] != operations[1] {
		b.Fatal("the two do not do the same", operations)
	}
	return float64(medians[1]) / float64(medians[0])
}

// medians decides on a pod in two ways in turn, and returns what each takes, the index of the pod's JSON included: the medians, as
// others use the machine too.
func medians(b *testing.B, pod string, decide func(way int, root rawjson.Value)) [2]time.Duration {
	var took [2][]time.Duration
	var d rawjson.Document
	for b.Loop() {
		for i := range took {
			started := time.Now()
			root, err := d.Parse(pod)
			if err != nil {
				b.Fatal(err)
			}
			decide(i, root)
			took[i] = append(took[i], time.Since(started))
		}
	}
	var medians [2]time.Duration
	for i := range took {
		slices.Sort(took[i])
		medians[i] = took[i][len(took[i])/2]
	}
	return medians
}

// BenchmarkCacheAffinity decides on the same pod in turn with placement by cache and without, among 20 and 5,000 nodes, for a project
// that is known and for one that is new. The metrics are what it takes more, and what the whole costs of a decision without.
func BenchmarkCacheAffinity(b *testing.B) {
	cases := fixtures.All(b)
	c := cases[slices.IndexFunc(cases, func(c fixtures.Case) bool { return c.Name == "cache-gitlab" })]
	pod, facts, with := string(c.Pod(b)), c.Facts(b), c.Policies(b)
	off := config.FromFile("namespace", []byte("apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"+
		"scheduling: {cacheAffinity: {enabled: false}}\n"), config.OriginNamespace)
	policies := [...]*inject.Policies{with.With(off), with}
	var workload engine.Workload
	for workload = range c.Ready(b) {
	}
	for _, nodes := range []int{20, 5000} {
		names := make([]string, nodes)
		for i := range names {
			names[i] = fmt.Sprintf("ip-10-0-%d-%d.eu-west-1.compute.internal", i>>8, i&255)
		}
		for _, known := range []bool{true, false} {
			b.Run(fmt.Sprintf("nodes=%d/known=%t", nodes, known), func(b *testing.B) {
				ready := engine.Ready{workload: {Nodes: rendezvous.NewSet(names)}}
				placed := 0
				took := medians(b, pod, func(way int, root rawjson.Value) {
					if !known && way == 1 {
						facts.Name += "x" // the namespace is part of the key
						if len(facts.Name) > 60 {
							facts.Name = fmt.Sprint("n", placed)
						}
					}
					plan := inject.Decide(inject.Input{Pod: root, Namespace: facts, Policies: policies[way], Ready: ready, Version: "dev"})
					if plan.CacheAffinity == inject.CacheAffinityPreferred {
						placed++
					}
				})
				if placed == 0 {
					b.Fatal("no pod is placed by cache")
				}
				b.ReportMetric(float64((took[1] - took[0]).Nanoseconds()), "ns-more")
				b.ReportMetric(float64(took[1])/float64(took[0]), "x-without")
			})
		}
	}
}
