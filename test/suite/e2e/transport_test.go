package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

var restricted = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}

// atHost is what the stand-in for the CLI prints of the user and of the host that it was given.
type atHost struct {
	uid  int
	host string // its beginning
}

func TestJobsReachTheEngineBySocket(t *testing.T) {
	deployEngine(t, defaultEngine, nil)
	engine := readyEngine(t)
	const socket = "unix:///run/dagger/engine.sock"
	for _, test := range []struct {
		name      string
		namespace map[string]string
		policy    string
		change    func(*corev1.Pod)
		script    string // askEngine where empty
		want      atHost
	}{
		{name: "as root", want: atHost{0, socket}},
		{name: "as ARC's own user", change: as(1001), want: atHost{1001, socket}},
		{name: "as another user, by the added group", change: as(1000), want: atHost{1000, socket}},
		{name: "a namespace that asks for its jobs", namespace: map[string]string{"dagger.io/inject": "true"},
			change: func(p *corev1.Pod) { delete(p.Labels, "dagger.io/inject") }, want: atHost{0, socket}},
		{name: "a container that mounts /var/run", change: mountAt("/var/run"), want: atHost{0, "unix:///"}},
		{name: "a container that mounts /run", change: mountAt("/run"), want: atHost{0, "unix:///"}},
		{name: "a container that mounts the node's /run read-only", change: mountNodesRun,
			want: atHost{0, "unix:///dagger-inject/run/engine.sock"}},
		{name: "a container with files of the downward API at /usr/local/bin", change: mountDownwardAPI("/usr/local/bin"),
			script: `"$_EXPERIMENTAL_DAGGER_CLI_BIN" core version`, want: atHost{0, socket}},
		{name: "a user whose groups are Strict", change: withStrictGroups, want: atHost{1000, socket}},
		{name: "the CLI from an image volume", policy: "cli: {delivery: image-volume}\n", change: as(1001),
			script: `"$_EXPERIMENTAL_DAGGER_CLI_BIN" version && dagger core version`, want: atHost{1001, socket}},
		{name: "the CLI from an image volume, which waits when it is used", policy: "cli: {delivery: image-volume}\nwait: {when: use}\n",
			change: as(1000), script: `dagger version && "$_EXPERIMENTAL_DAGGER_CLI_BIN" core version`,
			want: atHost{1000, socket}},
	} {
		for system := range systems {
			t.Run(test.name+" "+system, func(t *testing.T) {
				t.Parallel()
				pod := jobPod(t, system, newNamespace(t, test.namespace, test.policy), cmp.Or(test.script, askEngine))
				if test.change != nil {
					test.change(pod)
				}
				output := runJob(t, pod, system)
				requireAnswer(t, output, engine, "v0.21.8")
				test.want.require(t, output)
			})
		}
	}
}

func TestJobsReachTheEngineByTCPInRestrictedNamespaces(t *testing.T) {
	deployEngine(t, "v0.21.8-hostport", nil)
	engine := readyEngine(t)
	tcp := "engine: {transport: tcp, tcp: {address: \"dagger-dagger-helm.dagger.svc:1234\"}}\n"
	for _, test := range []struct {
		transport, policy string
		want              atHost
	}{
		{transport: "node-tcp", want: atHost{1001, "tcp://10."}},
		{transport: "tcp", policy: tcp, want: atHost{1001, "tcp://dagger-dagger-helm.dagger.svc:1234"}},
	} {
		for system := range systems {
			t.Run(test.transport+" "+system, func(t *testing.T) {
				t.Parallel()
				pod := jobPod(t, system, newNamespace(t, restricted, test.policy), askEngine)
				restrict(pod)
				output := runJob(t, pod, system)
				requireAnswer(t, output, engine, "v0.21.8")
				test.want.require(t, output)
			})
		}
	}
}

func (a atHost) require(t *testing.T, output string) {
	t.Helper()
	if cluster.node != "" {
		require.Contains(t, output, fmt.Sprintf("uid=%d host=%s", a.uid, a.host))
	}
}

// as has a pod run as a user and its group.
func as(uid int64) func(*corev1.Pod) { return func(pod *corev1.Pod) { runAs(pod, uid) } }

// mountAt has every container mount a volume of the pod's own over a folder.
func mountAt(path string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "own"})
		for i := range pod.Spec.Containers {
			c := &pod.Spec.Containers[i]
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "own", MountPath: path})
		}
	}
}

// mountNodesRun has every container mount the node's /run read-only, as GitLab jobs do for sockets of the node. The token of a
// service account would be below it, where the runtime cannot make its mount point either.
func mountNodesRun(pod *corev1.Pod) {
	pod.Spec.AutomountServiceAccountToken = new(bool)
	mountAt("/var/run")(pod)
	own := &pod.Spec.Volumes[len(pod.Spec.Volumes)-1]
	own.HostPath = &corev1.HostPathVolumeSource{Path: "/run"}
	for i := range pod.Spec.Containers {
		mounts := pod.Spec.Containers[i].VolumeMounts
		mounts[len(mounts)-1].ReadOnly = true
	}
}

// mountDownwardAPI has every container mount a volume that the kubelet mounts read-only, though the mount does not say so.
func mountDownwardAPI(path string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		mountAt(path)(pod)
		pod.Spec.Volumes[len(pod.Spec.Volumes)-1].DownwardAPI = &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
		}
	}
}

// withStrictGroups has a pod run as a user whom no group of the image's belongs to.
func withStrictGroups(pod *corev1.Pod) {
	runAs(pod, 1000)
	pod.Spec.SecurityContext.SupplementalGroupsPolicy = ptr.To(corev1.SupplementalGroupsPolicyStrict)
}

// TestAPodWithUsersOfItsOwnReachesTheEngineBySocket has the socket's group be the node's through the mapping of the pod's mounts.
func TestAPodWithUsersOfItsOwnReachesTheEngineBySocket(t *testing.T) {
	var nodes corev1.NodeList
	require.NoError(t, cluster.List(t.Context(), &nodes))
	for _, node := range nodes.Items {
		if !slices.ContainsFunc(node.Status.RuntimeHandlers, func(h corev1.NodeRuntimeHandler) bool {
			return h.Name == "" && h.Features != nil && ptr.Deref(h.Features.UserNamespaces, false)
		}) {
			t.Skipf("the container runtime of node %s has no user namespaces: they take containerd 2.0 and runc 1.2", node.Name)
		}
	}
	deployEngine(t, defaultEngine, nil)
	engine := readyEngine(t)
	for _, uid := range []int64{0, 1000} {
		t.Run(fmt.Sprint("as ", uid), func(t *testing.T) {
			pod := jobPod(t, "ARC", newNamespace(t, nil, ""), askEngine)
			runAs(pod, uid)
			pod.Spec.HostUsers = new(bool)
			requireAnswer(t, runJob(t, pod, "ARC"), engine, "v0.21.8")
		})
	}
}

// restrict makes a pod that Pod Security's level restricted admits.
func restrict(pod *corev1.Pod) {
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsUser: ptr.To[int64](1001), RunAsNonRoot: ptr.To(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			containers[i].SecurityContext = &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}
		}
	}
}

func TestJobsReachAnEngineOfAnOlderChart(t *testing.T) {
	deployEngine(t, "v0.16.3-default", nil)
	engine := readyEngine(t)
	pod := jobPod(t, "ARC", newNamespace(t, nil, ""), askEngine)
	runAs(pod, 1000)
	output := runJob(t, pod, "ARC")
	requireAnswer(t, output, engine, "v0.16.3")
	atHost{1000, "unix://"}.require(t, output)
}
