package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
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

func TestAPodDoesNotLeaveASidecarUnasked(t *testing.T) {
	cluster := config.FromFile("cluster", []byte(header+"engine: {transport: sidecar, sidecar: {image: i}, tcp: {address: 'e:1'}}\n"+
		"overrides: {fromNamespaces: [engine.transport], fromPods: [engine.transport]}"), config.OriginCluster)
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: {dagger.io/transport: tcp}}, spec: {containers: "+
		"[{name: a}]}}")
	in.Policies = NewPolicies(cluster, nil, nil)
	require.Equal(t, ReasonAnnotationInvalid, Decide(in).Reason)
}

func TestASidecarWithinLimitRanges(t *testing.T) {
	const job = "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: job, resources: {limits: {cpu: 1, " +
		"memory: 3Gi}}}]}}"
	decide := func(limits ContainerLimits) *Plan {
		in := input(t, job)
		in.Policies, in.Namespace.Limits = policiesOf(t, bySidecar), limits
		return Decide(in)
	}
	memory := func(text string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(text)}
	}
	require.Empty(t, decide(ContainerLimits{PodMax: memory("5Gi")}).Warnings)
	plan := decide(ContainerLimits{PodMax: memory("4Gi")})
	require.Equal(t, ReasonPodTooLarge, plan.Reason, "a 403 would cost the runner")
	require.Contains(t, plan.Detail, "it would have 5Gi of memory")
	plan = decide(ContainerLimits{Max: memory("128Mi")})
	require.Equal(t, ReasonInjected, plan.Reason)
	require.Contains(t, plan.Warnings[0], "the pod's own engine gets 128Mi of memory")
}

func TestASidecarInASandbox(t *testing.T) {
	for spec, reason := range map[string]Reason{
		"runtimeClassName: gvisor": ReasonInjected, "hostUsers: false": ReasonInjected, "hostUsers: false, hostNetwork: false": ReasonInjected,
	} {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {"+spec+", containers: [{name: job}]}}")
		in.Policies = policiesOf(t, bySidecar)
		plan := Decide(in)
		require.Equal(t, reason, plan.Reason)
		require.Contains(t, plan.Warnings[0], "may be unable to run in a sandbox")
	}
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {hostUsers: false, containers: [{name: job}]}}")
	in.Policies = policiesOf(t, "engine: {transport: sidecar, socket: {group: 70000}, sidecar: {image: i}}")
	require.Equal(t, ReasonSandboxed, Decide(in).Reason)
}

func TestASidecarLikeAnEngineThatDrains(t *testing.T) {
	in := input(t, aJob)
	in.Policies = among(t, "engine: {transport: sidecar}", anEngine("a", "v0.21.8", 3, 3, draining))
	require.Equal(t, "registry.dagger.io/engine:v0.21.8", Decide(in).Status.EngineImage, "its image alone is taken")
	in.Policies = among(t, "engine: {transport: sidecar}", anEngine("a", "v0.21.8", 3, 3, draining), anEngine("b", "v0.20.8", 3, 3))
	require.Equal(t, "registry.dagger.io/engine:v0.20.8", Decide(in).Status.EngineImage)
}

func TestTheSecretOfASidecarsImage(t *testing.T) {
	in := input(t, aJob)
	withSecret := func(d *engine.Discovered) { d.ImagePullSecrets = []string{"pull"} }
	in.Policies = among(t, "engine: {transport: sidecar}\ncli: {delivery: none}", anEngine("a", "v0.21.8", 3, 3, withSecret))
	require.Contains(t, Decide(in).Warnings[0], "the image of the pod's own engine")
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

func TestASidecarThatIsTheSameIsInMemoryOnce(t *testing.T) {
	cluster := policiesOf(t, bySidecar)
	own := cluster.With(config.FromFile("namespace", []byte(header+"env: [{name: A, value: b}]"), config.OriginNamespace))
	require.Same(t, cluster.standard.sidecars[0], own.standard.sidecars[0])
}
