package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestWhichServersHaveImageVolumes(t *testing.T) {
	cases := map[string]bool{
		"1.34": false, "v1.34.9": false, "v1.9.0": false, "1.35": true, "v1.35.0": true, "v1.35.1-gke.100": true, "v1.36.3+k3s1": true,
		"v2.0.0":          true,
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
		in.Cluster.ImageVolumes = first
		plan := Decide(in)
		once := patched(t, in, plan)
		require.Equal(t, first, once.Spec.Volumes[0].Image != nil)
		require.Equal(t, first, plan.Status.CLIBecause == "")
		in.Pod, in.Cluster.ImageVolumes = input(t, string(mustMarshal(once))).Pod, !first
		again := Decide(in)
		require.Equal(t, DecisionInjected, again.Decision)
		twice := patched(t, in, again)
		require.Equal(t, once.Spec, twice.Spec)
	}
}

func TestAnImageVolumeAddsNoContainer(t *testing.T) {
	in := input(t, bare)
	in.Policies, in.Cluster.ImageVolumes = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {delivery: image-volume, image: 'i:1'}"), true
	pod := patched(t, in, Decide(in))
	require.Empty(t, pod.Spec.InitContainers)
	require.Empty(t, pod.Annotations[AnnotationSafeToEvict], "it does not hold a node")
	require.Equal(t, &corev1.ImageVolumeSource{Reference: "i:1", PullPolicy: corev1.PullIfNotPresent}, pod.Spec.Volumes[0].Image)
	require.Equal(t, []corev1.VolumeMount{
		{Name: "dagger-inject-cli", MountPath: "/opt/dagger/bin", SubPath: "usr/local/bin", ReadOnly: true},
		{Name: "dagger-inject-launcher", MountPath: "/usr/local/bin/dagger", SubPath: "dagger", ReadOnly: true},
	}, pod.Spec.Containers[0].VolumeMounts)
	require.Equal(t, "#!/bin/sh\nexec /opt/dagger/bin/dagger \"$@\"\n", pod.Annotations[AnnotationLauncher])
	require.EqualValues(t, 0o555, *pod.Spec.Volumes[1].DownwardAPI.DefaultMode)
	require.Equal(t, corev1.EnvVar{Name: EnvCLIBin, Value: "/opt/dagger/bin/dagger"}, pod.Spec.Containers[0].Env[1])
}

// TestTheLauncherGivesWay has containers that cannot have the script on PATH: the variable names the command all the same.
func TestTheLauncherGivesWay(t *testing.T) {
	const policy = "engine: {tcp: {address: 'e:1'}}\ncli: {delivery: image-volume, image: 'i:1'}"
	own := "volumes: [{name: v, emptyDir: {}}], containers: [{name: a, volumeMounts: [{name: v, mountPath: "
	for name, c := range map[string]struct{ policy, metadata, spec, because string }{
		"a dagger of the user's":   {policy, "", own + "/usr/local/bin/dagger}]}]", "it mounts something of its own there"},
		"a read-only folder above": {policy, "", own + "/usr/local/bin, readOnly: true}]}]", "/usr/local/bin"},
		"another launcher": {policy, "annotations: {dagger.io/launcher: mine}, ", "containers: [{name: a}]",
			"the pod has an annotation dagger.io/launcher of its own"},
		"a path in the volume": {policy[:len(policy)-1] + ", path: /opt/dagger/bin/x}", "", "containers: [{name: a}]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {"+c.metadata+"labels: {dagger.io/inject: 'true'}}, spec: {"+c.spec+"}}")
			in.Policies, in.Cluster.ImageVolumes = policiesOf(t, c.policy), true
			plan := Decide(in)
			pod := patched(t, in, plan)
			require.Equal(t, "/opt/dagger/bin/dagger", pod.Spec.Containers[0].Env[1].Value)
			for _, volume := range pod.Spec.Volumes {
				require.NotEqual(t, volumeLauncher, volume.Name)
			}
			if c.because == "" {
				require.Empty(t, plan.Status.Moved)
				return
			}
			require.Len(t, plan.Status.Moved, 1)
			require.Contains(t, plan.Status.Moved[0].Because, c.because)
			in.Pod = input(t, string(mustMarshal(pod))).Pod
			require.Empty(t, Decide(in).Operations)
		})
	}
}
