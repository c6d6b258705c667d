package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// TestOurInitContainersAreThrottledOnlyWhereAskedFor has the pods that need a limit of CPU: none of them asks for more as a whole than
// without our init containers.
func TestOurInitContainersAreThrottledOnlyWhereAskedFor(t *testing.T) {
	max4 := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}
	for name, c := range map[string]struct {
		spec            string
		limits          ContainerLimits
		requests, limit string // limit is empty for none
	}{
		"no container has a limit": {"containers: [{name: a, resources: {requests: {cpu: 1}}}]", ContainerLimits{}, "100m", ""},
		"one of two has, as a quota on limits cannot want it": {
			"containers: [{name: a, resources: {limits: {cpu: 1}}}, {name: b}]", ContainerLimits{}, "100m", ""},
		"an init container has none": {
			"containers: [{name: a, resources: {limits: {cpu: 1}}}], initContainers: [{name: i}]", ContainerLimits{}, "100m", ""},
		"all have": {"containers: [{name: a, resources: {requests: {cpu: 1}, limits: {cpu: 2}}}, " +
			"{name: b, resources: {requests: {cpu: 10m}, limits: {cpu: 20m}}}]", ContainerLimits{}, "100m", "2"},
		"all have a low one": {"containers: [{name: a, resources: {requests: {cpu: 10m}, limits: {cpu: 20m}}}]",
			ContainerLimits{}, "100m", "100m"},
		"the pod is Guaranteed": {"containers: [{name: a, resources: {requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 2, memory: 1Gi}}}, " +
			"{name: b, resources: {limits: {cpu: 20m, memory: 1Mi}}}]", ContainerLimits{}, "2", "2"},
		"its memory is not": {"containers: [{name: a, resources: {requests: {cpu: 2}, limits: {cpu: 2, memory: 1Gi}}}, " +
			"{name: b, resources: {requests: {memory: 1Mi}, limits: {cpu: 2, memory: 2Mi}}}]", ContainerLimits{}, "100m", "2"},
		"a limit of none is none": {"containers: [{name: a, resources: {requests: {memory: 1Gi}, limits: {cpu: 0, memory: 1Gi}}}]",
			ContainerLimits{}, "100m", "100m"},
		"a LimitRange bounds the ratio": {"containers: [{name: a, resources: {requests: {cpu: 1}, limits: {cpu: 2}}}]",
			ContainerLimits{RatioOfCPU: true}, "100m", "100m"},
		"a LimitRange has a default, and another webhook's container has no limit": {
			"containers: [{name: a, resources: {requests: {cpu: 1}}}]", ContainerLimits{LimitsCPU: true}, "100m", "100m"},
		"a LimitRange has a maximum": {"containers: [{name: a, resources: {requests: {cpu: 1}, limits: {cpu: 4}}}]",
			ContainerLimits{LimitsCPU: true, Max: max4}, "100m", "4"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {"+c.spec+"}}")
			in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: 'i:1'}\nwait: {image: 'w:1'}")
			in.Namespace.Limits = c.limits
			pod := patched(t, in, Decide(in))
			bare := pod.DeepCopy()
			bare.Spec.InitContainers = bare.Spec.InitContainers[2:]
			for _, ours := range pod.Spec.InitContainers[:2] {
				require.Equal(t, c.requests, ours.Resources.Requests.Cpu().String())
				limit, limited := ours.Resources.Limits[corev1.ResourceCPU]
				require.Equal(t, c.limit != "", limited)
				if limited {
					require.Equal(t, c.limit, limit.String())
				}
				require.Equal(t, "64Mi", ours.Resources.Requests.Memory().String())
				require.Equal(t, "64Mi", ours.Resources.Limits.Memory().String())
			}
			without := resourcehelper.PodLimits(bare, resourcehelper.PodResourcesOptions{})[corev1.ResourceCPU]
			if with := resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[corev1.ResourceCPU]; c.limit != "" {
				require.Equal(t, max(without.MilliValue(), 100), with.MilliValue(), "a quota counts no more")
			}
			again := input(t, string(mustMarshal(pod)))
			again.Policies, again.Namespace = in.Policies, in.Namespace
			require.Empty(t, Decide(again).Operations)
		})
	}
}
