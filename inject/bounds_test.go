package inject

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
)

func TestWhatAPolicyAddsToManyContainersIsBounded(t *testing.T) {
	policies := policiesOf(t, "engine: {socket: {hostPath: /run/d}}\nenv: [{name: LARGE, value: '"+strings.Repeat("x", 30000)+"'}]")
	many := growingPods[11]
	require.Equal(t, "containers", many.name)

	plan := decideOn(t, policies, many.pod(30), nil)
	require.Equal(t, DecisionInjected, plan.Decision)
	require.Less(t, len(patch.Marshal(plan.Operations)), policies.MostAdded(30), "the estimate is an upper bound")

	plan = decideOn(t, policies, many.pod(256), nil)
	require.Equal(t, ReasonPodTooLarge, plan.Reason)
	require.Empty(t, plan.Operations)
	require.Contains(t, plan.Detail, "30027 bytes for each of 256 containers")
	require.Equal(t, maxAdded, policies.MostAdded(256))
}

func TestAnEstimateIsNeverLessThanWhatIsAdded(t *testing.T) {
	long := "/" + strings.Repeat("p", 1000)
	policies := policiesOf(t, "engine: {socket: {hostPath: "+long+"}}\ncli: {image: registry.dagger.io/engine:v0.21.8, path: "+long+
		"/dagger}\n"+
		"wait: {image: r/i:v1}\nenv: [{name: V, value: "+`"`+strings.Repeat(`\e`, 5000)+`"`+"}]")
	for _, n := range []int{1, 2, 10} {
		added := patch.Marshal(decideOn(t, policies, growingPods[11].pod(n), nil).Operations)
		require.Less(t, len(added), policies.MostAdded(n))
	}
}

// With every value compared with every other, this takes minutes.
func TestALongListOfValuesIsReadOnce(t *testing.T) {
	var requirements []string
	for range 35 {
		requirements = append(requirements, "{key: zone, operator: NotIn, values: ["+list(100, "n#")+"]}")
	}
	policies := policiesOf(t, "engine: {socket: {hostPath: /run/d}}\nscheduling: {nodeAffinity: "+
		nodeAffinity("[{matchExpressions: ["+strings.Join(requirements, ", ")+"]}]")+"}")
	for operator, decision := range map[string]Decision{"In": DecisionRefused, "NotIn": DecisionInjected} {
		values := list(200_000, `"n99"`)
		pod := `{"metadata":{"labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a"}],` +
			affinityOf(`{"matchExpressions":[{"key":"zone","operator":"`+operator+`","values":[`+values+`]}]}`) + `}}`
		require.Equal(t, decision, decideOn(t, policies, pod, nil).Decision, operator)
	}
}

func TestNodeSelectionsThatCombineToTooMuch(t *testing.T) {
	policies := policiesOf(t, "engine: {socket: {hostPath: /run/d}}\nscheduling: {nodeAffinity: "+
		nodeAffinity("["+list(16, "{matchExpressions: [{key: zone, operator: In, values: [z#]}]}")+"]")+"}")
	many := growingPods[0]
	for n, reason := range map[int]Reason{100: ReasonContradiction, 20000: ReasonPodTooLarge} {
		plan := decideOn(t, policies, many.pod(n), nil)
		require.Equal(t, reason, plan.Reason, "%d: %s", n, plan.Detail)
	}
	plan := decideOn(t, policies, growingPods[3].pod(600), nil)
	require.Equal(t, ReasonPodTooLarge, plan.Reason)
	require.Contains(t, plan.Detail, "600 nodeSelectorTerms and the policy's 16")
}

func TestWhatIsCopiedFromAnEngineIsBounded(t *testing.T) {
	own := newPlacement(&config.Scheduling{NodeAffinity: corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: termsOf(16,
		200)}})
	require.Contains(t, own.with(&engine.Placement{Required: termsOf(16, 50)}).problem,
		"the policy's 16 nodeSelectorTerms and the engine's 16 combine")
	require.Contains(t, own.with(&engine.Placement{Required: termsOf(17, 1)}).problem, "17 required nodeSelectorTerms")
	require.Contains(t, own.with(&engine.Placement{Tolerations: make([]corev1.Toleration, 65)}).problem, "65 tolerations")
	both := own.with(&engine.Placement{Required: termsOf(2, 1), Tolerations: make([]corev1.Toleration, 64)})
	require.Empty(t, both.problem)
	require.Len(t, both.required, 32)
}

func termsOf(n, values int) *corev1.NodeSelector {
	s := &corev1.NodeSelector{}
	for range n {
		r := corev1.NodeSelectorRequirement{Key: "zone", Operator: corev1.NodeSelectorOpIn}
		for v := range values {
			r.Values = append(r.Values, fmt.Sprintf("value-%d", v))
		}
		s.NodeSelectorTerms = append(s.NodeSelectorTerms, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{r}})
	}
	return s
}

func TestAnInterruptedDecisionIsAFault(t *testing.T) {
	policies := largestPolicy(t)
	pod := growingPods[11].pod(40)
	asked := 0
	require.Equal(t, DecisionInjected, decideOn(t, policies, pod, func() bool { asked++; return false }).Decision)
	require.Greater(t, asked, 40, "every container is a step")
	for _, after := range []int{0, 30, asked - 1} {
		steps := 0
		plan := decideOn(t, policies, pod, func() bool { steps++; return steps > after })
		require.Equal(t, ReasonInternalError, plan.Reason)
		require.Equal(t, DecisionError, plan.Decision)
		require.Empty(t, plan.Operations)
		require.LessOrEqual(t, steps, after+8, "the loops honour it")
	}
}

func TestAnEstimateIsThatOfTheLargestProfile(t *testing.T) {
	text := func(n int) string { return header + "env: [{name: V, value: '" + strings.Repeat("x", n) + "'}]" }
	of := func(data map[string]string) *Policies {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "release", Name: config.ConfigMapName}, Data: data}
		p := NewPolicies(config.FromConfigMap(cm, config.OriginCluster), nil, nil)
		require.NoError(t, p.Err())
		return p
	}
	small := of(map[string]string{"policy.yaml": text(10)})
	require.Greater(t, of(map[string]string{"policy.yaml": text(10), "large.yaml": text(10_010)}).MostAdded(3), small.MostAdded(3)+3*9_999)
	require.Greater(t, of(map[string]string{"policy.yaml": text(10_010), "small.yaml": text(10)}).MostAdded(3), small.MostAdded(3)+3*9_999)
}
