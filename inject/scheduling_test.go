package inject

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"

	schedulingcorev1 "k8s.io/component-helpers/scheduling/corev1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// TestCoversAgreesWithTheScheduler tries every pair of tolerations of a small universe on every taint of it: what covers
// claims must never be more than what the scheduler does.
func TestCoversAgreesWithTheScheduler(t *testing.T) {
	var tolerations []corev1.Toleration
	for _, operator := range []corev1.TolerationOperator{"", corev1.TolerationOpEqual, corev1.TolerationOpExists} {
		for _, key := range []string{"", "a", "b"} {
			for _, value := range []string{"", "x", "y"} {
				for _, effect := range []corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
					if key == "" && operator != corev1.TolerationOpExists || operator == corev1.TolerationOpExists && value != "" {
						continue // the API server refuses these
					}
					tolerations = append(tolerations, corev1.Toleration{Key: key, Operator: operator, Value: value, Effect: effect})
				}
			}
		}
	}
	var taints []corev1.Taint
	for _, key := range []string{"a", "b", "c"} {
		for _, value := range []string{"", "x", "y", "z"} {
			for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule,
				corev1.TaintEffectNoExecute} {
				taints = append(taints, corev1.Taint{Key: key, Value: value, Effect: effect})
			}
		}
	}
	logger := klog.Background()
	for _, a := range tolerations {
		for _, b := range tolerations {
			all := true
			for i := range taints {
				if b.ToleratesTaint(logger, &taints[i], false) && !a.ToleratesTaint(logger, &taints[i], false) {
					all = false
				}
			}
			require.Equal(t, all, covers(a, b), "%v covers %v", a, b)
		}
	}
}

func TestATolerationThatEndsDoesNotCoverOneThatLastsLonger(t *testing.T) {
	of := func(seconds ...int64) corev1.Toleration {
		toleration := corev1.Toleration{Key: "a", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}
		if len(seconds) > 0 {
			toleration.TolerationSeconds = &seconds[0]
		}
		return toleration
	}
	require.True(t, covers(of(), of(300)))
	require.True(t, covers(of(300), of(300)))
	require.False(t, covers(of(300), of()))
	require.False(t, covers(of(300), of(301)))
}

// TestNodeSelectionIsTheConjunction compares with the scheduler's own matching: a node fits the patched pod exactly when it
// fits the pod as it was and the policy.
func TestNodeSelectionIsTheConjunction(t *testing.T) {
	terms := map[string]string{
		"none":         "",
		"one":          "[{matchExpressions: [{key: zone, operator: In, values: [a, b]}]}]",
		"two":          "[{matchExpressions: [{key: zone, operator: In, values: [a]}]}, {matchExpressions: [{key: pool, operator: Exists}]}]",
		"field":        "[{matchFields: [{key: metadata.name, operator: In, values: [n1]}]}]",
		"empty":        "[{}]",
		"empty beside": "[{}, {matchExpressions: [{key: zone, operator: NotIn, values: [a]}]}]",
		"same":         "[{matchExpressions: [{key: zone, operator: In, values: [b]}, {key: pool, operator: Exists}]}]",
	}
	var nodes []*corev1.Node
	for _, name := range []string{"n1", "n2"} {
		for _, zone := range []string{"", "a", "b", "c"} {
			for _, pool := range []string{"", "ci", "other"} {
				labels := map[string]string{}
				if zone != "" {
					labels["zone"] = zone
				}
				if pool != "" {
					labels["pool"] = pool
				}
				nodes = append(nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
			}
		}
	}
	for podName, podTerms := range terms {
		for policyName, policyTerms := range terms {
			if strings.HasPrefix(policyName, "empty") {
				continue // refused in a policy
			}
			for _, selector := range []string{"{}", "{pool: ci}"} {
				t.Run(fmt.Sprintf("%s and %s and %s", podName, policyName, selector), func(t *testing.T) {
					in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], affinity: "+affinity(podTerms)+"}}")
					own := patched(t, in, &Plan{})
					in.Policies = policiesOf(t, "engine: {socket: {hostPath: /run/d}}\ncli: {delivery: none}\nscheduling: {nodeSelector: "+selector+
						", nodeAffinity: "+nodeAffinity(policyTerms)+"}")
					effective, err := in.Policies.Effective(config.DefaultProfile, rawjson.Value{})
					require.NoError(t, err)
					policyPod := &corev1.Pod{Spec: corev1.PodSpec{
						NodeSelector: effective.Policy.Scheduling.NodeSelector,
						Affinity:     &corev1.Affinity{NodeAffinity: &effective.Policy.Scheduling.NodeAffinity},
					}}
					plan := Decide(in)
					if plan.Reason == ReasonContradiction {
						for _, node := range nodes {
							require.False(t, fits(t, own, node) && fits(t, policyPod, node), "not a contradiction on %v", node.Labels)
						}
						return
					}
					require.Equal(t, ReasonInjected, plan.Reason, plan.Detail)
					after := patched(t, in, plan)
					for _, node := range nodes {
						require.Equal(t, fits(t, own, node) && fits(t, policyPod, node), fits(t, after, node), "%s %v", node.Name, node.Labels)
					}
				})
			}
		}
	}
}

func affinity(terms string) string { return "{nodeAffinity: " + nodeAffinity(terms) + "}" }

func nodeAffinity(terms string) string {
	if terms == "" {
		return "{}"
	}
	return "{requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: " + terms + "}}"
}

func fits(t *testing.T, pod *corev1.Pod, node *corev1.Node) bool {
	t.Helper()
	ok, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	require.NoError(t, err)
	return ok
}

func TestContradictionsAreReported(t *testing.T) {
	cases := map[string]struct{ spec, scheduling string }{
		"selector against selector": {"nodeSelector: {zone: a}", "nodeSelector: {zone: b}"},
		"affinity against selector": {"nodeSelector: {zone: a}",
			"nodeAffinity: " + nodeAffinity("[{matchExpressions: [{key: zone, operator: In, values: [b]}]}]")},
		"selector against affinity": {"affinity: " + affinity("[{matchExpressions: [{key: zone, operator: In, values: [b]}]}]"),
			"nodeSelector: {zone: a}"},
		"affinity against affinity": {"affinity: " + affinity("[{matchExpressions: [{key: zone, operator: DoesNotExist}]}]"),
			"nodeAffinity: " + nodeAffinity("[{matchExpressions: [{key: zone, operator: Exists}]}]")},
		"affinity excludes": {"affinity: " + affinity("[{matchExpressions: [{key: zone, operator: NotIn, values: [a, b]}]}]"),
			"nodeAffinity: " + nodeAffinity("[{matchExpressions: [{key: zone, operator: In, values: [a, b]}]}]")},
		"selector against both": {"nodeSelector: {zone: b}",
			"nodeSelector: {zone: a}, nodeAffinity: " + nodeAffinity("[{matchExpressions: [{key: disk, operator: Exists}]}]")},
		"affinity excludes in any order": {"affinity: " + affinity("[{matchExpressions: [{key: zone, operator: In, values: [a, a, b]}]}]"),
			"nodeAffinity: " + nodeAffinity("[{matchExpressions: [{key: zone, operator: NotIn, values: [c, b, a]}]}]")},
		"the policy against itself": {"nodeSelector: {disk: ssd}",
			"nodeAffinity: " + nodeAffinity("[{matchExpressions: [{key: zone, operator: In, values: [a]}, {key: zone, operator: NotIn, "+
				"values: [a]}]}]")},
		"a number and no label": {"affinity: " + affinity("[{matchExpressions: [{key: cores, operator: DoesNotExist}]}]"),
			"nodeAffinity: " + nodeAffinity("[{matchExpressions: [{key: cores, operator: Gt, values: ['8']}]}]")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], "+c.spec+"}}")
			in.Policies = policiesOf(t, "engine: {socket: {hostPath: /run/d}}\nscheduling: {"+c.scheduling+"}")
			plan := Decide(in)
			require.Equal(t, ReasonContradiction, plan.Reason)
			require.Equal(t, DecisionRefused, plan.Decision)
			require.NotEmpty(t, plan.Detail)
			require.Empty(t, plan.Operations)
		})
	}
}

func TestTaintsOfTheEngineAreTolerated(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], tolerations: null}}")
	in.Policies = policiesOf(t, "engine: {socket: {hostPath: /run/d}}\nscheduling: {tolerations: [{key: dagger-node, operator: Exists}, "+
		"{key: dagger-node, value: x, effect: NoSchedule}]}")
	after := patched(t, in, Decide(in))
	require.Len(t, after.Spec.Tolerations, 1, "the second is covered by the first")
	taints := []corev1.Taint{{Key: "dagger-node", Effect: corev1.TaintEffectNoSchedule}}
	_, untolerated := schedulingcorev1.FindMatchingUntoleratedTaint(klog.Background(), taints, after.Spec.Tolerations, nil, false)
	require.False(t, untolerated)
}
