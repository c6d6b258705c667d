package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestWhichServersHaveImageVolumes(t *testing.T) {
	cases := map[string]bool{
		"1.34": false, "v1.34.9": false, "v1.9.0": false, "1.35": true, "v1.35.0": true, "v1.35.1-gke.100": true, "v1.36.3+k3s1": true, "v2.0.0": true,
		"v1.35.0-alpha.1": true,
	}
	for version, want := range cases {
		has, err := HasImageVolumes(version)
		require.NoError(t, err, version)
		require.Equal(t, want, has, version)
	}
	for _, version := range []string{"", "new", "v", "1", "-1.35"} {
		_, err := HasImageVolumes(version)
		require.Error(t, err, version)
	}
}

// TestReplicasThatSeeAnotherServerAgree decides twice, as for a pod that is sent to another replica again during an upgrade.
func TestReplicasThatSeeAnotherServerAgree(t *testing.T) {
	for _, first := range []bool{true, false} {
		in := input(t, bare)
		in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {delivery: image-volume, image: 'i:1'}")
		in.ImageVolumes = first
		plan := Decide(in)
		once := patched(t, in, plan)
		require.Equal(t, first, once.Spec.Volumes[0].Image != nil)
		require.Equal(t, first, plan.Status.CLIBecause == "")
		in.Pod, in.ImageVolumes = input(t, string(mustMarshal(once))).Pod, !first
		again := Decide(in)
		require.Equal(t, DecisionInjected, again.Decision)
		twice := patched(t, in, again)
		require.Equal(t, once.Spec, twice.Spec)
	}
}

func TestAnImageVolumeAddsNoContainer(t *testing.T) {
	in := input(t, bare)
	in.Policies, in.ImageVolumes = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {delivery: image-volume, image: 'i:1'}"), true
	pod := patched(t, in, Decide(in))
	require.Empty(t, pod.Spec.InitContainers)
	require.Empty(t, pod.Annotations[annotationSafeToEvict], "it does not hold a node")
	require.Equal(t, &corev1.ImageVolumeSource{Reference: "i:1", PullPolicy: corev1.PullIfNotPresent}, pod.Spec.Volumes[0].Image)
	require.Equal(t, []corev1.VolumeMount{{Name: "dagger-inject-cli", MountPath: "/opt/dagger/bin", SubPath: "usr/local/bin", ReadOnly: true}}, pod.Spec.Containers[0].VolumeMounts)
	require.Equal(t, corev1.EnvVar{Name: EnvCLIBin, Value: "/opt/dagger/bin/dagger"}, pod.Spec.Containers[0].Env[1])
}

func TestSELinuxOptions(t *testing.T) {
	const policy = "engine: {socket: {hostPath: /run/d, seLinuxOptions: {type: dagger_client_t}}, tcp: {address: 'e:1'}}\n"
	own := &corev1.SELinuxOptions{Type: "own_t"}
	ours := &corev1.SELinuxOptions{Type: "dagger_client_t"}
	cases := map[string]struct {
		container, pod, policy string
		want                   *corev1.SELinuxOptions
		status                 string
	}{
		"none":             {"", "", "", ours, "type=dagger_client_t"},
		"null":             {", securityContext: null", "", "", ours, "type=dagger_client_t"},
		"the container's":  {", securityContext: {seLinuxOptions: {type: own_t}}", "", "", own, ""},
		"the same":         {", securityContext: {seLinuxOptions: {type: dagger_client_t}}", "", "", ours, "type=dagger_client_t"},
		"the pod's":        {"", ", securityContext: {seLinuxOptions: {type: own_t}}", "", nil, ""},
		"not for a TCP":    {"", "", "engine: {transport: tcp, socket: {hostPath: /run/d, seLinuxOptions: {type: t}}, tcp: {address: 'e:1'}}", nil, ""},
		"none in a policy": {"", "", "engine: {socket: {hostPath: /run/d}}", nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a"+c.container+"}]"+c.pod+"}}")
			in.Policies = policiesOf(t, policy)
			if c.policy != "" {
				in.Policies = policiesOf(t, c.policy)
			}
			plan := Decide(in)
			pod := patched(t, in, plan)
			var got *corev1.SELinuxOptions
			if sc := pod.Spec.Containers[0].SecurityContext; sc != nil {
				got = sc.SELinuxOptions
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.status, plan.Status.SELinux)
			in.Pod = input(t, string(mustMarshal(pod))).Pod
			require.Equal(t, ReasonAlreadyInjected, Decide(in).Reason)
		})
	}
}
