package inject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

const useOf = "engine: {socket: {hostPath: /run/d}}\ncli: {delivery: image-volume, image: 'registry.dagger.io/engine:v0.21.8'}\n" +
	"wait: {image: 'r/i:v1', imagePullSecret: pull, when: use"

func decideAtUse(t *testing.T, pod, policy string) (Input, *Plan, *corev1.Pod) {
	t.Helper()
	in := input(t, pod)
	in.Policies, in.Cluster.ImageVolumes = policiesOf(t, policy), true
	plan := Decide(in)
	require.Equal(t, DecisionInjected, plan.Decision, plan.Detail)
	return in, plan, patched(t, in, plan)
}

func TestDaggerWaitsWhenItIsUsed(t *testing.T) {
	in, plan, pod := decideAtUse(t, bare, useOf+", timeout: 90s, onTimeout: continue}")
	require.Equal(t, "on: when dagger is used", plan.Status.Wait)
	require.Empty(t, pod.Spec.InitContainers)
	require.Equal(t, "#!/opt/dagger/inject/dagger-inject launch\n"+
		"# --command=/opt/dagger/bin/dagger --timeout=1m30s --on-timeout=continue --expect-version=v0.21.8\n"+
		"exec /opt/dagger/bin/dagger \"$@\"\n", pod.Annotations[AnnotationLauncher])
	c := pod.Spec.Containers[0]
	require.Contains(t, c.Env, corev1.EnvVar{Name: EnvCLIBin, Value: "/usr/local/bin/dagger"}, "SDKs wait too")
	require.Contains(t, c.VolumeMounts, corev1.VolumeMount{Name: volumeProgram, MountPath: "/opt/dagger/inject", ReadOnly: true})
	require.Equal(t, "r/i:v1", pod.Spec.Volumes[3].Image.Reference)
	in.Pod = input(t, string(mustMarshal(pod))).Pod
	require.Empty(t, Decide(in).Operations)
}

// TestPodsThatCannotWaitAtUseWaitAtTheStart has, for each obstacle, an init container that waits and a command that can be run.
func TestPodsThatCannotWaitAtUseWaitAtTheStart(t *testing.T) {
	own := func(path string) string {
		return "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {volumes: [{name: v, emptyDir: {}}], " +
			"containers: [{name: a, volumeMounts: [{name: v, mountPath: " + path + "}]}, {name: b}]}}"
	}
	for name, c := range map[string]struct{ pod, policy, wait string }{
		"another delivery": {bare, strings.Replace(useOf, "delivery: image-volume, ", "", 1) + "}",
			"on: at the start, as the command is not in an image volume"},
		"a path in the volume": {bare, strings.Replace(useOf, "cli: {", "cli: {path: /opt/dagger/bin/x, ", 1) + "}",
			"on: at the start, as cli.path is in the image volume"},
		"a container with a dagger of its own": {own("/usr/local/bin/dagger"), useOf + "}",
			"on: at the start, as container a cannot have the script in which dagger waits"},
		"a container with something where the program is": {own("/opt/dagger/inject"), useOf + "}",
			"on: at the start, as container a cannot have the script in which dagger waits"},
		"a script of an earlier call, which does not wait": {
			"{metadata: {labels: {dagger.io/inject: 'true'}, annotations: {dagger.io/launcher: \"" +
				`#!/bin/sh\nexec /opt/dagger/bin/dagger \"$@\"\n` + "\"}}, spec: {containers: [{name: a}]}}", useOf + "}",
			"on: at the start, as the pod has an annotation dagger.io/launcher that does not wait"},
	} {
		t.Run(name, func(t *testing.T) {
			in, plan, pod := decideAtUse(t, c.pod, c.policy)
			require.Equal(t, c.wait, plan.Status.Wait)
			require.Equal(t, initContainerWait, pod.Spec.InitContainers[len(pod.Spec.InitContainers)-1].Name)
			for _, container := range pod.Spec.Containers {
				has := map[string]bool{}
				for _, mount := range container.VolumeMounts {
					has[mount.Name] = true
				}
				if has[volumeLauncher] && waitsAtUse(pod.Annotations[AnnotationLauncher]) {
					require.True(t, has[volumeProgram], "the script of %s has an interpreter", container.Name)
				}
			}
			require.LessOrEqual(t, len(pod.Spec.ImagePullSecrets), 1)
			in.Pod = input(t, string(mustMarshal(pod))).Pod
			require.Empty(t, Decide(in).Operations)
		})
	}
}

func TestAPodWithoutACommandWaitsAtTheStart(t *testing.T) {
	_, plan, _ := decideAtUse(t, bare, strings.Replace(useOf, ", image: 'registry.dagger.io/engine:v0.21.8'", "", 1)+"}")
	require.Equal(t, "on: at the start, as the pod gets no dagger command", plan.Status.Wait)
}

// TestTheScriptOfAnEarlierCallDecides has a replica with another policy decide on a pod that waits at use, and to which a later webhook
// has added a container.
func TestTheScriptOfAnEarlierCallDecides(t *testing.T) {
	_, _, pod := decideAtUse(t, bare, useOf+", timeout: 90s}")
	for name, policy := range map[string]string{
		"waits at the start": strings.Replace(useOf, "use", "start", 1) + "}", "does not wait": useOf + ", enabled: false}",
		"waits for longer": useOf + ", timeout: 5m}",
	} {
		t.Run(name, func(t *testing.T) {
			in, _, again := decideAtUse(t, string(mustMarshal(pod)), policy)
			require.Equal(t, pod.Spec, again.Spec)
			later := pod.DeepCopy()
			later.Spec.Containers = append(later.Spec.Containers, corev1.Container{Name: "later"})
			in.Pod = input(t, string(mustMarshal(later))).Pod
			plan := Decide(in)
			got := patched(t, in, plan).Spec.Containers[1]
			require.Equal(t, pod.Spec.Containers[0].VolumeMounts, got.VolumeMounts)
			require.Equal(t, "on: when dagger is used", plan.Status.Wait)
		})
	}
}

// TestAScriptWithoutItsInterpreterIsNotMounted has a pod template with the annotation of a pod that was injected.
func TestAScriptWithoutItsInterpreterIsNotMounted(t *testing.T) {
	copied := "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: {dagger.io/launcher: \"" +
		`#!/opt/dagger/inject/dagger-inject launch\n# --command=/x\n` + "\"}}, spec: {containers: [{name: a}]}}"
	_, plan, pod := decideAtUse(t, copied, strings.Replace(useOf, "use", "start", 1)+"}")
	require.Contains(t, plan.Status.Moved[0].Because, "the pod lacks the volume with the interpreter")
	require.Contains(t, pod.Spec.Containers[0].Env, corev1.EnvVar{Name: EnvCLIBin, Value: "/opt/dagger/bin/dagger"})
}

func TestAPodThatIsNotToWaitHasAScriptThatDoesNot(t *testing.T) {
	_, plan, pod := decideAtUse(t, bare, useOf+", enabled: false}")
	require.Equal(t, "off: wait.enabled", plan.Status.Wait)
	require.Equal(t, launcherText, pod.Annotations[AnnotationLauncher])
	require.Empty(t, pod.Spec.InitContainers)
}

// TestAMeshDoesNotKeepDaggerFromWaiting: its proxy runs by then.
func TestAMeshDoesNotKeepDaggerFromWaiting(t *testing.T) {
	meshed := "{metadata: {labels: {dagger.io/inject: 'true', sidecar.istio.io/inject: 'true'}}, spec: {containers: [{name: a}]}}"
	tcp := "engine: {tcp: {address: 'e:1'}}\n" + useOf[strings.Index(useOf, "cli:"):]
	_, plan, _ := decideAtUse(t, meshed, tcp+"}")
	require.Equal(t, "on: when dagger is used", plan.Status.Wait)
}
