package inject_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
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
	policies := [...]*inject.Policies{one, other}
	var took [len(policies)][]time.Duration
	var operations [len(policies)]int
	var d rawjson.Document
	for b.Loop() {
		for i := range policies {
			started := time.Now()
			root, err := d.Parse(pod)
			if err != nil {
				b.Fatal(err)
			}
			operations[i] = len(inject.Decide(inject.Input{Pod: root, Namespace: facts, Policies: policies[i], Version: "dev"}).Operations)
			took[i] = append(took[i], time.Since(started))
		}
	}
	if operations[0] == 0 || operations[0] != operations[1] {
		b.Fatal("the two do not do the same", operations)
	}
	for i := range took {
		slices.Sort(took[i]) // the median, as others use the machine too
	}
	return float64(took[1][len(took[1])/2]) / float64(took[0][len(took[0])/2])
}
