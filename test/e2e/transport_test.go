package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

var restricted = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}

func TestJobsReachTheEngine(t *testing.T) {
	deployEngine(t, "v0.21.8-hostport", nil)
	engine := readyEngine(t)
	for _, test := range []struct {
		name      string
		system    string
		namespace map[string]string
		policy    string
		change    func(*corev1.Pod)
		want      string // what the job prints of itself and its host
	}{
		{name: "ARC by socket as its own user", system: "ARC",
			change: func(p *corev1.Pod) { runAs(p, 1001) }, want: "uid=1001 host=unix:///run/dagger/engine.sock"},
		{name: "ARC by socket as another user, by the added group", system: "ARC",
			change: func(p *corev1.Pod) { runAs(p, 1000) }, want: "uid=1000 host=unix:///run/dagger/engine.sock"},
		{name: "GitLab by socket as root", system: "GitLab", want: "uid=0 host=unix:///run/dagger/engine.sock"},
		{name: "GitLab by socket as another user", system: "GitLab",
			change: func(p *corev1.Pod) { runAs(p, 1000) }, want: "uid=1000 host=unix:///run/dagger/engine.sock"},
		{name: "Tekton by socket as root", system: "Tekton", want: "uid=0 host=unix:///run/dagger/engine.sock"},
		{name: "Tekton by socket as another user", system: "Tekton",
			change: func(p *corev1.Pod) { runAs(p, 1000) }, want: "uid=1000 host=unix:///run/dagger/engine.sock"},
		{name: "a namespace that asks for its jobs", system: "GitLab", namespace: map[string]string{"dagger.io/inject": "true"},
			change: func(p *corev1.Pod) { delete(p.Labels, "dagger.io/inject") }, want: "host=unix:///run/dagger/engine.sock"},
		{name: "a container that mounts /var/run", system: "ARC", change: mountAt("/var/run"), want: "uid=0 host=unix:///"},
		{name: "a container that mounts /run", system: "ARC", change: mountAt("/run"), want: "uid=0 host=unix:///"},
		{name: "ARC by node-tcp in a restricted namespace", system: "ARC", namespace: restricted,
			change: restrict, want: "uid=1001 host=tcp://"},
		{name: "GitLab by node-tcp in a restricted namespace", system: "GitLab", namespace: restricted,
			change: restrict, want: "uid=1001 host=tcp://"},
		{name: "Tekton by tcp in a restricted namespace", system: "Tekton", namespace: restricted,
			policy: "engine: {transport: tcp, tcp: {address: \"dagger-dagger-helm.dagger.svc:1234\"}}\n",
			change: restrict, want: "uid=1001 host=tcp://dagger-dagger-helm.dagger.svc:1234"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pod := jobPod(t, test.system, newNamespace(t, test.namespace, test.policy), askEngine)
			if test.change != nil {
				test.change(pod)
			}
			output := runJob(t, pod, test.system)
			require.Contains(t, output, fmt.Sprintf("engine=%s version=v0.21.8 cli=v0.21.8 ", engine))
			require.Contains(t, output, test.want)
		})
	}
}

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
	require.Contains(t, output, fmt.Sprintf("engine=%s version=v0.16.3 cli=v0.16.3 uid=1000 host=unix://", engine))
}
