package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
)

// wiredByHand is a pod as people have written them, for the engine of the chart with tolerations and affinity.
const wiredByHand = `apiVersion: v1
kind: Pod
metadata:
  name: build
  namespace: migrated
spec:
  nodeSelector: {pool: ci}
  tolerations:
  - {key: dagger-runner, operator: Exists, effect: NoSchedule}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions:
          - {key: actions-runner, operator: Exists}
  containers:
  - name: build
    image: registry.acme.example/ci:7
    env:
    - {name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, value: "unix:///run/dagger/engine.sock"}
    volumeMounts:
    - {name: dagger, mountPath: /run/dagger}
  volumes:
  - {name: dagger, hostPath: {path: /run/dagger-dagger-dagger-helm}}
`

// TestAMigratedPodIsWhatItWas migrates a pod with the cluster's own engine and policy, and creates what comes out behind the webhook.
func TestAMigratedPodIsWhatItWas(t *testing.T) {
	t.Parallel()
	l, err := newLive(t, "migrate-release", "migrated", "--discover-own-namespace")
	if l != nil && l.Process != nil {
		defer func() {
			if err := l.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
	require.NoError(t, err)
	require.NoError(t, shared.CreateNamespace(t.Context(), "migrated", map[string]string{liveLabel: "migrated"}, nil))
	grantAll(t, "migrate-engines", "migrate-release")
	put(t, policyMap("migrate-release", ownPolicy))
	upgrade(t, "migrated", "v0.21.8-tolerations-affinity")

	dir := t.TempDir()
	file, out := filepath.Join(dir, "pod.yaml"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(file, []byte(wiredByHand), 0o600))
	program, err := binary()
	require.NoError(t, err)
	kubeconfig, err := shared.Kubeconfig(shared.Config())
	require.NoError(t, err)
	report, err := exec.CommandContext(t.Context(), program, "migrate", "-f", file, "--engine", "live", "-o", out,
		"--release-namespace", "migrate-release", "--kubeconfig", kubeconfig).CombinedOutput()
	require.NoError(t, err, string(report))
	require.Contains(t, string(report), "Pod migrated/build: equal: ")
	migrated, err := os.ReadFile(filepath.Join(out, "pod.yaml"))
	require.NoError(t, err)

	var was, stripped corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict([]byte(wiredByHand), &was))
	require.NoError(t, yaml.UnmarshalStrict(migrated, &stripped))
	require.Empty(t, stripped.Spec.Volumes)
	require.Empty(t, stripped.Spec.Tolerations)
	require.Nil(t, stripped.Spec.Affinity)
	requireSoon(t, func() bool {
		pod := stripped.DeepCopy()
		err := shared.Client().Create(t.Context(), pod)
		stripped = *pod
		return err == nil
	})
	require.NotEmpty(t, stripped.Annotations[inject.AnnotationStatus])
	require.Equal(t, was.Spec.Affinity, stripped.Spec.Affinity)
	require.Equal(t, was.Spec.NodeSelector, stripped.Spec.NodeSelector)
	require.Contains(t, stripped.Spec.Tolerations, was.Spec.Tolerations[0])
	require.Contains(t, stripped.Spec.Containers[0].Env, was.Spec.Containers[0].Env[0])
	mounted := map[string]string{}
	for _, m := range stripped.Spec.Containers[0].VolumeMounts {
		for _, v := range stripped.Spec.Volumes {
			if v.Name == m.Name && v.HostPath != nil {
				mounted[m.MountPath] = v.HostPath.Path
			}
		}
	}
	require.Equal(t, map[string]string{"/run/dagger": "/run/dagger-dagger-dagger-helm"}, mounted)
}
