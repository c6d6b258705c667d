package inject

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestAPodsQuantitiesCannotStopADecision has amounts that Kubernetes works out to the last digit, and some that it cannot compare.
func TestAPodsQuantitiesCannotStopADecision(t *testing.T) {
	for amount, want := range map[string]string{
		"'1e2147483648'": "100m", "'1e-2147483648'": "100m", "'1e2147483647'": "100m", "'1e99'": "100m", "'50m'": "50m",
	} {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {resources: {limits: {cpu: "+amount+
			"}}, containers: [{name: a}]}}")
		in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: 'i:1'}")
		plan := Decide(in)
		require.Equal(t, DecisionInjected, plan.Decision)
		// The pod itself is left undecoded: that would take what the decision must not.
		require.Contains(t, string(mustMarshal(plan.Operations)), `"requests":{"cpu":"`+want+`",`, amount)
	}
}

// TestABestEffortPodStaysBestEffort looks at the init containers' resources: they alone could change the pod's class.
func TestABestEffortPodStaysBestEffort(t *testing.T) {
	quantities := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	cases := map[string]struct {
		spec   string
		limits ContainerLimits
		want   corev1.ResourceList
	}{
		"no container has any": {"containers: [{name: a}, {name: b, resources: {}}]", ContainerLimits{}, nil},
		"nothing but zeros": {"containers: [{name: a, resources: {requests: {cpu: 0, memory: '0'}, limits: {cpu: '0m'}}}]",
			ContainerLimits{}, nil},
		"nothing that the class counts": {"containers: [{name: a, resources: {limits: {ephemeral-storage: 1Gi, nvidia.com/gpu: 1}}}]",
			ContainerLimits{}, nil},
		"one has": {"containers: [{name: a}, {name: b, resources: {requests: {cpu: 1}}}]", ContainerLimits{},
			quantities("100m", "64Mi")},
		"one has a limit": {"containers: [{name: a}, {name: b, resources: {limits: {memory: 1Gi}}}]", ContainerLimits{},
			quantities("100m", "64Mi")},
		"an init container has": {"containers: [{name: a}], initContainers: [{name: i, resources: {requests: {memory: 1Gi}}}]",
			ContainerLimits{}, quantities("100m", "64Mi")},
		"the pod as a whole has":     {"containers: [{name: a}], resources: {limits: {cpu: 2}}", ContainerLimits{}, quantities("100m", "64Mi")},
		"a LimitRange has a minimum": {"containers: [{name: a}]", ContainerLimits{Min: quantities("10m", "4Mi")}, quantities("10m", "4Mi")},
		"a LimitRange has a maximum": {"containers: [{name: a}]", ContainerLimits{Max: quantities("10m", "4Mi")}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {"+c.spec+"}}")
			in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: 'i:1'}\nwait: {image: 'w:1'}")
			in.Namespace.Limits = c.limits
			pod := patched(t, in, Decide(in))
			for _, ours := range pod.Spec.InitContainers[:2] {
				require.Contains(t, []string{initContainerCLI, initContainerWait}, ours.Name)
				require.True(t, equality.Semantic.DeepEqual(c.want, ours.Resources.Requests), "%s has %v", ours.Name, ours.Resources)
				limits := maps.Clone(c.want)
				delete(limits, corev1.ResourceCPU)
				require.True(t, equality.Semantic.DeepEqual(limits, ours.Resources.Limits), "%s has %v", ours.Name, ours.Resources)
			}
			again := input(t, string(mustMarshal(pod)))
			again.Policies, again.Namespace = in.Policies, in.Namespace
			require.Empty(t, Decide(again).Operations)
		})
	}
}

// TestALimitOfStorageIsNotMadeThePods has the policy ask for room on the node's disk, which no class of service counts. A limit of
// ours would be the kubelet's limit for the job.
func TestALimitOfStorageIsNotMadeThePods(t *testing.T) {
	room := corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
	for resources, limits := range map[string]corev1.ResourceList{"{}": nil, "{limits: {ephemeral-storage: 8Gi}}": room} {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a, resources: "+resources+"}]}}")
		in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: 'i:1', resources: {limits: {ephemeral-storage: 1Gi}}}")
		ours := patched(t, in, Decide(in)).Spec.InitContainers[0].Resources
		require.True(t, equality.Semantic.DeepEqual(room, ours.Requests), ours)
		require.True(t, equality.Semantic.DeepEqual(limits, ours.Limits), ours)
	}
}
