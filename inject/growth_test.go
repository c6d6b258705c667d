package inject

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// growing is a pod of which one part grows, under a policy that is compared with that part. The policy is as large as validation
// lets it be, so that a loop over both shows.
type growing struct {
	name string
	// spec returns members of the pod's spec, and pod members of its metadata, of n parts.
	spec, metadata func(n int) string
	containers     func(n int) string
}

// list repeats an element, in which # is its number.
func list(n int, element string) string {
	elements := make([]string, n)
	for i := range elements {
		elements[i] = strings.ReplaceAll(element, "#", strconv.Itoa(i))
	}
	return strings.Join(elements, ",")
}

func affinityOf(term string) string {
	return `"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` + term + `]}}}`
}

var growingPods = []growing{
	{name: "values", spec: func(n int) string {
		return affinityOf(`{"matchExpressions":[{"key":"zone","operator":"In","values":[` + list(n, `"x#"`) + `]}]}`)
	}},
	{name: "excluded values", spec: func(n int) string {
		return affinityOf(`{"matchExpressions":[{"key":"zone","operator":"NotIn","values":[` + list(n, `"x#"`) + `]}]}`)
	}},
	{name: "requirements", spec: func(n int) string {
		return affinityOf(`{"matchExpressions":[` + list(n, `{"key":"zone","operator":"NotIn","values":["x#"]}`) + `]}`)
	}},
	{name: "terms", spec: func(n int) string {
		return affinityOf(list(n, `{"matchExpressions":[{"key":"zone","operator":"NotIn","values":["x#"]}]}`))
	}},
	{name: "preferences", spec: func(n int) string {
		return `"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[` +
			list(n, `{"weight":1,"preference":{"matchExpressions":[{"key":"disk","operator":"In","values":["x#"]}]}}`) + `]}}`
	}},
	{name: "selector", spec: func(n int) string { return `"nodeSelector":{` + list(n, `"k#":"v"`) + `}` }},
	{name: "tolerations", spec: func(n int) string { return `"tolerations":[` + list(n, `{"key":"k1","value":"x#"}`) + `]` }},
	{name: "volumes", spec: func(n int) string { return `"volumes":[` + list(n, `{"name":"v#"}`) + `]` }},
	{name: "pull secrets", spec: func(n int) string { return `"imagePullSecrets":[` + list(n, `{"name":"s#"}`) + `]` }},
	{name: "groups", spec: func(n int) string { return `"securityContext":{"supplementalGroups":[` + list(n, `#`) + `]}` }},
	{name: "init containers", spec: func(n int) string { return `"initContainers":[` + list(n, `{"name":"i#"}`) + `]` }},
	{name: "containers", containers: func(n int) string { return list(n, `{"name":"c#"}`) }},
	{name: "names", containers: func(n int) string { return `{"name":"` + strings.Repeat("a", n) + `"}` }},
	{name: "variables", containers: func(n int) string { return `{"name":"a","env":[` + list(n, `{"name":"V#","value":"x"}`) + `]}` }},
	{name: "mounts", containers: func(n int) string {
		return `{"name":"a","volumeMounts":[` + list(n, `{"name":"v","mountPath":"/run/x#"}`) + `]}`
	}},
	{name: "labels", metadata: func(n int) string { return `"labels":{"dagger.io/inject":"true",` + list(n, `"l#":"v"`) + `}` }},
	{name: "annotations", metadata: func(n int) string {
		return `"labels":{"dagger.io/inject":"true"},"annotations":{` + list(n, `"a#":"v"`) + `}`
	}},
}

func (g *growing) pod(n int) string {
	metadata, spec, containers := `"labels":{"dagger.io/inject":"true"}`, "", `{"name":"a"}`
	if g.metadata != nil {
		metadata = g.metadata(n)
	}
	if g.spec != nil {
		spec = "," + g.spec(n)
	}
	if g.containers != nil {
		containers = g.containers(n)
	}
	return `{"metadata":{` + metadata + `},"spec":{"containers":[` + containers + `]` + spec + `}}`
}

// largestPolicy has as much of everything that pods are compared with as validation accepts in 64 KiB.
func largestPolicy(t testing.TB) *Policies {
	text := header + `
engine: {socket: {hostPath: /run/dagger-dagger-dagger-helm}}
cli: {image: registry.dagger.io/engine:v0.21.8}
wait: {image: registry.example.com/dagger-inject:v1}
env: [` + list(64, `{name: VAR_#, value: "`+strings.Repeat("v", 200)+`"}`) + `]
containers: {include: ["*", ` + list(63, `"x*y*z#"`) + `], exclude: [` + list(64, `"*-x*y*z#"`) + `]}
scheduling:
  tolerations: [` + list(64, `{key: k1, operator: Equal, value: "v#"}`) + `]
  nodeSelector: {` + list(64, `s#: v`) + `}
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}, ` + list(34, `{key: zone, operator: NotIn, values: [`+list(30, `y#`)+`]}`) + `]}]
    preferredDuringSchedulingIgnoredDuringExecution: [` + list(64, `{weight: 1, preference: {matchExpressions: [{key: disk, operator: In, values: [y#]}]}}`) + `]
`
	policies := NewPolicies(config.FromFile("test", []byte(text), config.OriginCluster), nil, nil)
	require.NoError(t, policies.Err())
	return policies
}

func decideOn(t testing.TB, policies *Policies, pod string, interrupted func() bool) *Plan {
	var d rawjson.Document
	root, err := d.Parse(pod)
	require.NoError(t, err)
	return Decide(Input{
		Pod: root, Namespace: Namespace{Name: "ci"}, Policies: policies, Version: "test", Cluster: Cluster{ImageVolumes: true},
		Interrupted: interrupted,
	})
}

// BenchmarkGrowth decides on pods of which one part grows fourfold. The metric is the time of the larger by a quarter of
// that of the smaller: about 1, or less, where the time grows with the part, and 4 where it grows with its square.
func BenchmarkGrowth(b *testing.B) {
	policies := largestPolicy(b)
	for _, g := range growingPods {
		b.Run(strings.ReplaceAll(g.name, " ", "-"), func(b *testing.B) {
			n := 4000
			if g.name == "containers" || g.name == "terms" {
				n = 64 // more are refused
			}
			pods := [...]string{g.pod(n), g.pod(4 * n)}
			var took [len(pods)][]time.Duration
			for b.Loop() {
				for i, pod := range pods {
					var d rawjson.Document
					root, err := d.Parse(pod)
					if err != nil {
						b.Fatal(err)
					}
					started := time.Now()
					Decide(Input{Pod: root, Namespace: Namespace{Name: "ci"}, Policies: policies, Version: "test"})
					took[i] = append(took[i], time.Since(started))
				}
			}
			for i := range took {
				slices.Sort(took[i])
			}
			small, large := took[0][len(took[0])/2], took[1][len(took[1])/2]
			b.ReportMetric(float64(large)/float64(small)/4, "x-linear")
			b.ReportMetric(float64(large.Microseconds()), "µs-large")
		})
	}
}

// FuzzGrown grows two parts of a pod at once, and holds what any decision must hold.
func FuzzGrown(f *testing.F) {
	for i := range growingPods {
		f.Add(uint8(i), uint16(300), uint8(i+1), uint16(30))
	}
	policies := []*Policies{largestPolicy(f), NewPolicies(config.BuiltIn(), nil, nil)}
	f.Fuzz(func(t *testing.T, first uint8, n uint16, second uint8, m uint16) {
		a, b := growingPods[int(first)%len(growingPods)], growingPods[int(second)%len(growingPods)]
		size := func(of func(int) string, k uint16) func(int) string {
			if of == nil {
				return nil
			}
			return func(int) string { return of(int(k)) }
		}
		both := growing{spec: size(a.spec, n), metadata: size(a.metadata, n), containers: size(a.containers, n)}
		if both.spec == nil {
			both.spec = size(b.spec, m)
		}
		if both.metadata == nil {
			both.metadata = size(b.metadata, m)
		}
		if both.containers == nil {
			both.containers = size(b.containers, m)
		}
		pod := both.pod(0)
		var d rawjson.Document
		if _, err := d.Parse(pod); err != nil {
			return
		}
		for _, p := range policies {
			plan := decideOn(t, p, pod, nil)
			if plan.Decision != DecisionInjected {
				require.Empty(t, plan.Operations)
				continue
			}
			require.Less(t, len(patch.Marshal(plan.Operations)), maxAdded+64<<10)
			after, err := patch.Apply([]byte(pod), plan.Operations)
			require.NoError(t, err)
			require.Empty(t, decideOn(t, p, string(after), nil).Operations)
		}
	})
}
