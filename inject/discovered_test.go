package inject

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// withEngine compiles a cluster's policy with an engine that was discovered, or why none was.
func withEngine(t *testing.T, policy string, d *engine.Discovered, err error) *Policies {
	t.Helper()
	p := NewPolicies(config.FromFile("cluster", []byte(header+policy), config.OriginCluster), nil,
		func(string, labels.Selector) (*engine.Found, error) {
			if d == nil {
				return nil, err
			}
			return &engine.Found{Engines: []*engine.Discovered{d}}, err
		})
	require.NoError(t, p.Err())
	return p
}

// daemonSet is an engine as the chart installs it, with a taint of its own.
func daemonSet() *engine.Discovered {
	gid := int64(2002)
	return &engine.Discovered{
		Identity: engine.Identity{Workload: engine.Workload{Kind: "DaemonSet", Namespace: "dagger", Name: "e"}},
		Image:    "mirror.example.com/dagger/engine@sha256:0", Group: &gid,
		Socket: &engine.SocketOnNode{HostPath: "/run/dagger-x", File: "e.sock"},
		Tolerations: []corev1.Toleration{
			{Key: "dagger-node", Operator: corev1.TolerationOpExists},
			{Operator: corev1.TolerationOpExists},
			{Key: "node-role.kubernetes.io/control-plane", Operator: corev1.TolerationOpExists},
			{Key: "node.kubernetes.io/unschedulable", Operator: corev1.TolerationOpExists},
		},
		NodeSelector: map[string]string{"pool": "ci"},
		NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a", "b"}}}},
			},
		}},
	}
}

const bare = "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]}}"

func TestAnEmptyPolicyTakesEverythingFromTheEngine(t *testing.T) {
	in := input(t, bare)
	in.Policies = withEngine(t, "", daemonSet(), nil)
	plan := Decide(in)
	pod := patched(t, in, plan)
	require.Equal(t, "unix:///run/dagger/e.sock", pod.Spec.Containers[0].Env[0].Value)
	require.Equal(t, "/run/dagger-x", pod.Spec.Volumes[0].HostPath.Path)
	require.Equal(t, []int64{2002}, pod.Spec.SecurityContext.SupplementalGroups)
	require.Equal(t, "mirror.example.com/dagger/engine@sha256:0", pod.Spec.InitContainers[0].Image, "the digest is kept")
	require.Equal(t, []corev1.Toleration{{Key: "dagger-node", Operator: corev1.TolerationOpExists}}, pod.Spec.Tolerations)
	require.Equal(t, map[string]string{"pool": "ci"}, pod.Spec.NodeSelector)
	require.Len(t, pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms, 1)
	require.Equal(t, "DaemonSet dagger/e", plan.Status.ReadFrom)
	require.Equal(t, []string{"Exists", "node-role.kubernetes.io/control-plane Exists", "node.kubernetes.io/unschedulable Exists"},
		plan.Status.NotCopied)
	in.Pod = input(t, string(mustMarshal(pod))).Pod
	require.Equal(t, ReasonAlreadyInjected, Decide(in).Reason)
}

func TestExplicitFieldsBeatDiscoveredOnes(t *testing.T) {
	in := input(t, bare)
	in.Policies = withEngine(t, "engine: {socket: {group: 3, file: own.sock}}\ncli: {image: own:1}\nscheduling: {fromEngine: false, "+
		"tolerations: [{key: own, operator: Exists}]}", daemonSet(), nil)
	pod := patched(t, in, Decide(in))
	require.Equal(t, "unix:///run/dagger/own.sock", pod.Spec.Containers[0].Env[0].Value)
	require.Equal(t, []int64{3}, pod.Spec.SecurityContext.SupplementalGroups)
	require.Equal(t, "own:1", pod.Spec.InitContainers[0].Image)
	require.Nil(t, pod.Spec.Affinity)
	require.Len(t, pod.Spec.Tolerations, 1)

	in.Policies = withEngine(t, "engine: {socket: {hostPath: /run/own}}", daemonSet(), nil)
	pod = patched(t, in, Decide(in))
	require.Equal(t, "/run/own", pod.Spec.Volumes[0].HostPath.Path)
	require.Equal(t, "unix:///run/dagger/engine.sock", pod.Spec.Containers[0].Env[0].Value, "a socket that is named is not the discovered one")
}

func TestPlacementIsForNodeLocalTransportsOnly(t *testing.T) {
	d := daemonSet()
	d.Service = &engine.Service{Address: "e.dagger.svc:1", Safe: true}
	in := input(t, bare)
	in.Policies = withEngine(t, "engine: {transport: tcp}\nscheduling: {nodeSelector: {own: x}}", d, nil)
	pod := patched(t, in, Decide(in))
	require.Equal(t, "tcp://e.dagger.svc:1", pod.Spec.Containers[0].Env[0].Value)
	require.Empty(t, pod.Spec.Tolerations)
	require.Equal(t, map[string]string{"own": "x"}, pod.Spec.NodeSelector, "the policy's own additions always")

	in.Policies = withEngine(t, "scheduling: {nodeSelector: {own: x}, nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "+
		"{nodeSelectorTerms: [{matchExpressions: [{key: gpu, operator: DoesNotExist}]}]}}}", d, nil)
	pod = patched(t, in, Decide(in))
	require.Equal(t, map[string]string{"own": "x", "pool": "ci"}, pod.Spec.NodeSelector)
	terms := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	require.Len(t, terms, 1)
	require.Len(t, terms[0].MatchExpressions, 2, "the policy's and the engine's")

	in.Policies = withEngine(t, "scheduling: {nodeSelector: {pool: other}}", d, nil)
	plan := Decide(in)
	require.Equal(t, ReasonContradiction, plan.Reason)
	require.Contains(t, plan.Detail, "pool=other and ci")
}

func TestWhyThereIsNoEngine(t *testing.T) {
	cases := map[string]struct {
		policy string
		engine *engine.Discovered
		err    error
		reason Reason
		want   string
	}{
		"none found": {"", nil, errors.New("namespace dagger: none of the 0 workloads"), ReasonNoEngine, "none of the 0 workloads"},
		"nothing offered": {"", &engine.Discovered{Identity: engine.Identity{Workload: engine.Workload{Kind: "StatefulSet", Namespace: "d",
			Name: "e"}}}, nil, ReasonNoEngine, "StatefulSet d/e offers nothing"},
		"an unsafe Service": {"engine: {transport: tcp}",
			&engine.Discovered{Service: &engine.Service{Address: "a:1", Reason: "there are several engines"}}, nil,
			ReasonNoEngine, "a:1 is not safe: there are several engines"},
		"not what is wanted": {"engine: {transport: node-tcp}", daemonSet(), nil, ReasonNoEngine,
			"the transport is node-tcp, and the engine does not offer it"},
		"explicit all the same": {"engine: {tcp: {address: 'e:1'}}", nil, errors.New("forbidden"), ReasonInjected, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, bare)
			in.Policies = withEngine(t, c.policy, c.engine, c.err)
			plan := Decide(in)
			require.Equal(t, c.reason, plan.Reason)
			require.Contains(t, plan.Detail, c.want)
		})
	}
}

func TestTheCloudTokenIsAVariableFromItsSecret(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}, {name: b, env: [{name: "+
		"DAGGER_CLOUD_TOKEN, value: own}]}]}}")
	in.Policies = withEngine(t, "cloudToken: {secretName: dagger-cloud, key: token}", daemonSet(), nil)
	pod := patched(t, in, Decide(in))
	env := pod.Spec.Containers[0].Env
	require.Equal(t, "DAGGER_CLOUD_TOKEN", env[len(env)-1].Name)
	require.Equal(t, "dagger-cloud", env[len(env)-1].ValueFrom.SecretKeyRef.Name)
	require.Equal(t, corev1.EnvVar{Name: "DAGGER_CLOUD_TOKEN", Value: "own"}, pod.Spec.Containers[1].Env[0])
}
