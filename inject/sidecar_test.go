package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
)

const (
	bySidecar = "engine: {transport: sidecar, sidecar: {image: 'registry.dagger.io/engine:v0.21.8'}}\nwait: {image: w}"
	aJob      = "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: job}]}}"
)

func TestASidecarIsWaitedForInAMeshToo(t *testing.T) {
	in := input(t, aJob)
	in.Policies = policiesOf(t, bySidecar)
	in.Namespace.Labels = map[string]string{istioInjection: "enabled"}
	require.Equal(t, "on", Decide(in).Status.Wait, "a socket is not redirected")
}

func TestASidecarsSocketGivesWay(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {volumes: [{name: v, emptyDir: {}}], "+
		"containers: [{name: job, volumeMounts: [{name: v, mountPath: /run/dagger}]}]}}")
	in.Policies = policiesOf(t, bySidecar)
	plan := Decide(in)
	require.Equal(t, "unix:///dagger-inject/run/engine.sock", plan.Status.Engine)
	pod := patched(t, in, plan)
	require.Equal(t, engineRunDir, pod.Spec.InitContainers[1].VolumeMounts[0].MountPath, "where the engine listens")
}

func TestAPodsClassOfServiceSurvivesASidecar(t *testing.T) {
	resources := func(pod string) corev1.ResourceRequirements {
		in := input(t, pod)
		in.Policies = policiesOf(t, bySidecar)
		out := patched(t, in, Decide(in))
		require.Equal(t, initContainerEngine, out.Spec.InitContainers[1].Name)
		return out.Spec.InitContainers[1].Resources
	}
	require.Empty(t, resources(aJob).Requests, "BestEffort")
	guaranteed := resources("{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: job, resources: " +
		"{requests: {cpu: 1, memory: 1Gi}, limits: {cpu: 1, memory: 1Gi}}}]}}")
	require.Equal(t, guaranteed.Requests, guaranteed.Limits)
	require.Equal(t, "2Gi", guaranteed.Requests.Memory().String())
	shared := resources("{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {resources: {limits: {memory: 1Gi}}, containers: " +
		"[{name: job}]}}")
	require.NotContains(t, shared.Requests, corev1.ResourceMemory, "the pod has it as a whole")
	require.Contains(t, shared.Requests, corev1.ResourceCPU)
}

func TestWhoMayChooseASidecar(t *testing.T) {
	cluster := func(overrides string) *config.Documents {
		return config.FromFile("cluster", []byte(header+"engine: {sidecar: {image: i}}\noverrides: "+overrides), config.OriginCluster)
	}
	namespace := config.FromFile("namespace", []byte(header+"engine: {transport: sidecar}"), config.OriginNamespace)
	in := input(t, aJob)
	in.Policies = NewPolicies(cluster("{fromNamespaces: [engine.transport]}"), namespace, nil)
	plan := Decide(in)
	require.Equal(t, ReasonPolicyInvalid, plan.Reason)
	require.Contains(t, plan.Detail,
		"namespace: line 3: engine.transport: locked: the cluster's policy does not let namespaces choose sidecar")

	in.Policies = NewPolicies(cluster("{fromNamespaces: [engine.transport, engine.sidecar]}"), namespace, nil)
	require.Equal(t, ReasonInjected, Decide(in).Reason)

	in.Policies = NewPolicies(cluster("{fromPods: [engine.transport]}"), nil, nil)
	require.Nil(t, in.Policies.standard.sidecars, "what nobody can ask for takes no memory")
}

func TestAutoNeverTakesASidecar(t *testing.T) {
	in := input(t, aJob)
	in.Policies = policiesOf(t, "engine: {sidecar: {image: i}}\noverrides: {fromPods: [engine.transport, engine.sidecar]}")
	require.Equal(t, ReasonNoEngine, Decide(in).Reason)
}

func TestASidecarWithoutAnImage(t *testing.T) {
	in := input(t, aJob)
	in.Policies = policiesOf(t, "engine: {transport: sidecar}")
	plan := Decide(in)
	require.Equal(t, ReasonNoEngine, plan.Reason)
	require.Contains(t, plan.Detail, "engine.sidecar.image names none")
}
