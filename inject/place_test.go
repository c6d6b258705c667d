package inject

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// placed decides on a pod with one container, holds idempotence, and returns the pod and its status.
func placed(t *testing.T, policy, container, volumes string) (*corev1.Pod, *Plan) {
	t.Helper()
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a, "+container+"}], volumes: ["+volumes+"]}}")
	in.Policies, in.Cluster.ImageVolumes = policiesOf(t, policy), true
	plan := Decide(in)
	pod := patched(t, in, plan)
	again := input(t, string(mustMarshal(pod)))
	again.Policies, again.Cluster.ImageVolumes = in.Policies, true
	require.Empty(t, Decide(again).Operations, "the patched pod needs nothing more")
	return pod, plan
}

func mountsOf(pod *corev1.Pod) map[string]string {
	mounts := map[string]string{}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		mounts[m.Name] = m.MountPath
	}
	return mounts
}

func envOf(pod *corev1.Pod, name string) string {
	for _, e := range pod.Spec.Containers[0].Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

const socketAndCLI = "engine: {socket: {hostPath: /run/d}}\ncli: {image: i}"

func TestVolumesThatTheKubeletMountsReadOnlyGetNoMountPointBelow(t *testing.T) {
	readOnly := []string{
		"configMap: {name: x}", "secret: {secretName: x}", "projected: {sources: []}", "downwardAPI: {}", "image: {reference: x}",
		"persistentVolumeClaim: {claimName: x, readOnly: true}", "csi: {driver: x, readOnly: true}", "nfs: {server: s, path: /, readOnly: true}",
	}
	writable := []string{
		"emptyDir: {}", "hostPath: {path: /opt/tools}", "persistentVolumeClaim: {claimName: x}", "csi: {driver: x}",
		"persistentVolumeClaim: {claimName: x, readOnly: false}",
	}
	for _, source := range append(readOnly, writable...) {
		t.Run(source, func(t *testing.T) {
			pod, plan := placed(t, socketAndCLI, "volumeMounts: [{name: v, mountPath: /usr/local/bin}]", "{name: v, "+source+"}")
			require.Equal(t, ReasonInjected, plan.Reason)
			want := "/usr/local/bin/dagger"
			if slices.Contains(readOnly, source) {
				want = "/dagger-inject/bin/dagger"
				require.Equal(t, []MovedMount{{"a", want, "which is not on PATH, as it mounts /usr/local/bin read-only"}}, plan.Status.Moved)
			} else {
				require.Empty(t, plan.Status.Moved)
			}
			require.Equal(t, want, mountsOf(pod)["dagger-inject-cli"])
			require.Equal(t, want, envOf(pod, EnvCLIBin))
			require.Equal(t, "/run/dagger", mountsOf(pod)["dagger-inject-socket"])
		})
	}
}

func TestWhereThePlaceIsTakenAnotherIsUsed(t *testing.T) {
	cases := map[string]struct {
		mounts, volumes string
		socket, cli     string
		because         string
	}{
		"the host's /var/run, read-only, as GitLab jobs have it": {
			"{name: v, mountPath: /var/run, readOnly: true}", "{name: v, hostPath: {path: /var/run}}",
			"/dagger-inject/run", "/usr/local/bin/dagger", "as it mounts /var/run read-only"},
		"something of its own where the socket's would be": {
			"{name: v, mountPath: /run/dagger}", "{name: v, emptyDir: {}}",
			"/dagger-inject/run", "/usr/local/bin/dagger", "as it mounts something of its own there"},
		"something below": {
			"{name: v, mountPath: /var/run/dagger/cache}", "{name: v, emptyDir: {}}",
			"/dagger-inject/run", "/usr/local/bin/dagger", "as it mounts something of its own below, at /var/run/dagger/cache"},
		"both": {
			"{name: v, mountPath: /run, readOnly: true}, {name: c, mountPath: /usr}", "{name: v, emptyDir: {}}, {name: c, configMap: {name: c}}",
			"/dagger-inject/run", "/dagger-inject/bin/dagger", "as it mounts /run read-only"},
		"our own folder too": {
			"{name: c, mountPath: /run}, {name: c, mountPath: /dagger-inject}, {name: c, mountPath: /dagger-inject-1/run}",
			"{name: c, configMap: {name: c}}",
			"/dagger-inject-2/run", "/usr/local/bin/dagger", "as it mounts /run read-only"},
		"a folder of a like name, read-only": {
			"{name: c, mountPath: /run/dag}", "{name: c, configMap: {name: c}}", "/run/dagger", "/usr/local/bin/dagger", ""},
		"a folder where the command would be": {
			"{name: v, mountPath: /usr/local/bin/dagger/x}", "{name: v, emptyDir: {}}", "/run/dagger", "/dagger-inject/bin/dagger",
			"which is not on PATH, as it mounts something of its own below, at /usr/local/bin/dagger/x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod, plan := placed(t, socketAndCLI, "volumeMounts: ["+c.mounts+"]", c.volumes)
			require.Equal(t, ReasonInjected, plan.Reason, plan.Message())
			require.Equal(t, c.socket, mountsOf(pod)["dagger-inject-socket"])
			require.Equal(t, "unix://"+c.socket+"/engine.sock", envOf(pod, EnvRunnerHost))
			require.Equal(t, c.cli, mountsOf(pod)["dagger-inject-cli"])
			require.Equal(t, c.cli, envOf(pod, EnvCLIBin))
			if c.because == "" {
				require.Empty(t, plan.Status.Moved)
				return
			}
			require.Equal(t, c.because, plan.Status.Moved[0].Because)
		})
	}
}

func TestCertificatesAndImageVolumesGiveWayToo(t *testing.T) {
	pod, _ := placed(t, "engine: {tls: {address: 'e:443', secretName: s}}\ncli: {image: i, delivery: image-volume}",
		"volumeMounts: [{name: c, mountPath: /etc}, {name: c, mountPath: /opt}]", "{name: c, configMap: {name: c}}")
	require.Equal(t, map[string]string{"c": "/opt", "dagger-inject-tls": "/dagger-inject/tls", "dagger-inject-cli": "/dagger-inject/bin"},
		mountsOf(pod))
	require.Contains(t, envOf(pod, EnvRunnerHost), "ca_path=%2Fdagger-inject%2Ftls%2Fca.crt")
	require.Equal(t, "/dagger-inject/bin/dagger", envOf(pod, EnvCLIBin))
}

func TestWhatAPersonWiredIsLeft(t *testing.T) {
	cases := map[string]struct {
		container, volumes string
		wired              bool
	}{
		"the variable": {"env: [{name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, value: 'tcp://mine:1'}]", "", true},
		"the variable, by reference": {"env: [{name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, valueFrom: {configMapKeyRef: {name: x, key: y}}}]", "",
			true},
		"the engine's directory": {"volumeMounts: [{name: v, mountPath: /run/dagger}]", "{name: v, hostPath: {path: /run/d}}", true},
		"that of another engine": {"volumeMounts: [{name: v, mountPath: /var/run/dagger}]", "{name: v, hostPath: {path: /run/e}}", true},
		"the socket itself": {"volumeMounts: [{name: v, mountPath: /run/dagger/engine.sock}]",
			"{name: v, hostPath: {path: /run/d/engine.sock}}", true},
		"no directory of the node": {"volumeMounts: [{name: v, mountPath: /run/dagger}]", "{name: v, emptyDir: {}}", false},
		"a device": {"volumeDevices: [{name: v, devicePath: /run/dagger}]", "{name: v, persistentVolumeClaim: {claimName: c}}",
			false},
		"a volume that is not there": {"volumeMounts: [{name: v, mountPath: /run/dagger}]", "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, plan := placed(t, socketAndCLI, c.container, c.volumes)
			require.Equal(t, c.wired, plan.Reason == ReasonAlreadyWired, plan.Message())
		})
	}
}

func TestADaggerOfItsOwnIsLeft(t *testing.T) {
	pod, plan := placed(t, socketAndCLI, "volumeMounts: [{name: c, mountPath: /usr/local/bin/dagger, subPath: dagger}]",
		"{name: c, configMap: {name: c}}")
	require.Empty(t, plan.Status.Moved)
	require.Contains(t, plan.Status.Left[0].Because, "a dagger command of its own")
	require.Len(t, pod.Spec.InitContainers, 0)

	// The variable is the user's, and PATH does not lead to a moved command: it would be of no use.
	_, plan = placed(t, socketAndCLI,
		"env: [{name: _EXPERIMENTAL_DAGGER_CLI_BIN, value: /my/dagger}], volumeMounts: [{name: c, mountPath: /usr/local}]",
		"{name: c, configMap: {name: c}}")
	require.Contains(t, plan.Status.Left[0].Because, "gets no dagger at /usr/local/bin/dagger: it mounts /usr/local read-only")
}

// TestAPlaceIsFoundInTimeProportionalToThePod has a hostile pod take every place, over read-only volumes.
func TestAPlaceIsFoundInTimeProportionalToThePod(t *testing.T) {
	const n = 20_000
	var mounts, volumes strings.Builder
	fmt.Fprint(&mounts, "{name: v0, mountPath: /run}, {name: v0, mountPath: /dagger-inject}")
	fmt.Fprint(&volumes, "{name: v0, configMap: {name: c}}")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&mounts, ", {name: v%d, mountPath: /dagger-inject-%d}", i, i)
		fmt.Fprintf(&volumes, ", {name: v%d, configMap: {name: c}}", i)
	}
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a, volumeMounts: ["+mounts.String()+
		"]}], volumes: ["+volumes.String()+"]}}")
	plan := Decide(in)
	require.Equal(t, fmt.Sprintf("/dagger-inject-%d/run", n), plan.Status.Moved[0].Path)
}

// TestAStatusThatIsTooLargeIsLeftOut has as many containers as are injected, each with long paths in the way of everything: the API
// server refuses more than 256 KiB of annotations, with 422.
func TestAStatusThatIsTooLargeIsLeftOut(t *testing.T) {
	long := strings.Repeat("x", 300)
	var containers []string
	for n := range maxTargets {
		containers = append(containers,
			fmt.Sprintf("{name: %.63s, volumeMounts: [{name: v, mountPath: /run/dagger/%s}, {name: v, mountPath: /usr/local/bin/dagger/%s}]}",
				fmt.Sprintf("c%d-%s", n, long), long, long))
	}
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}, annotations: {a: '"+strings.Repeat("x", 100<<10)+
		"'}}, spec: {containers: ["+strings.Join(containers, ", ")+"], volumes: [{name: v, emptyDir: {}}]}}")
	plan := Decide(in)
	require.Equal(t, ReasonInjected, plan.Reason, plan.Message())
	require.Len(t, plan.Status.Moved, 2*maxTargets)
	pod := patched(t, in, plan)
	require.Empty(t, pod.Annotations[AnnotationStatus])
	require.Empty(t, Decide(input(t, string(mustMarshal(pod)))).Operations)
}

// TestAPodStaysWithItsEngineWhereverItsMountsAre has a newer engine come between two calls of one admission.
func TestAPodStaysWithItsEngineWhereverItsMountsAre(t *testing.T) {
	for _, policy := range []string{"engine: {transport: tls, tls: {address: 'e:443', secretName: s}}", "engine: {transport: socket}"} {
		old, newer := anEngine("old", "v0.21.7", 1, 1), anEngine("new", "v0.21.8", 1, 1)
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a, volumeMounts: [{name: c, mountPath: "+
			"/etc}, {name: c, mountPath: /run}]}], "+
			"volumes: [{name: c, configMap: {name: c}}]}}")
		in.Policies = among(t, policy, old)
		plan := Decide(in)
		require.Len(t, plan.Status.Moved, 1, plan.Message())
		again := input(t, string(mustMarshal(patched(t, in, plan))))
		again.Policies = among(t, policy, old, newer)
		require.Empty(t, Decide(again).Operations, policy)
	}
}
