package migrate

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

const provenPod = `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ci, labels: {app: x}}
spec:
  serviceAccountName: builds
  nodeSelector: {disk: ssd}
  tolerations: [{key: ci, operator: Exists}]
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]
  initContainers: [{name: prepare, image: alpine:3}]
  containers:
  - name: build
    image: ci:7
    resources: {requests: {cpu: "1"}}
    env: [{name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, value: "unix:///run/dagger/engine.sock"}, {name: A, value: b}]
    volumeMounts: [{name: dagger, mountPath: /run/dagger}, {name: work, mountPath: /work}]
  volumes:
  - {name: dagger, hostPath: {path: /run/dagger-dagger-dagger-helm}}
  - {name: work, emptyDir: {}}
`

// TestTheProofNoticesWhatChanges changes an injected pod in one property at a time.
func TestTheProofNoticesWhatChanges(t *testing.T) {
	cases := map[string]struct {
		change   func(*corev1.Pod)
		property string // empty for no difference
	}{
		"nothing":                     {func(*corev1.Pod) {}, ""},
		"a variable is lost":          {func(p *corev1.Pod) { p.Spec.Containers[0].Env = p.Spec.Containers[0].Env[1:] }, "env"},
		"a variable changes":          {func(p *corev1.Pod) { p.Spec.Containers[0].Env[0].Value = "c" }, "env"},
		"a mount is lost":             {func(p *corev1.Pod) { mounts := &p.Spec.Containers[0].VolumeMounts; *mounts = (*mounts)[1:] }, "mount"},
		"a mount moves":               {func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts[0].MountPath = "/other" }, "mount"},
		"a volume is another":         {func(p *corev1.Pod) { volumeOf(p, "work").VolumeSource = corev1.VolumeSource{} }, "mount"},
		"the socket lies elsewhere":   {func(p *corev1.Pod) { volumeOf(p, "dagger-inject-socket").HostPath.Path = "/run/other" }, "engine"},
		"a toleration is lost":        {func(p *corev1.Pod) { p.Spec.Tolerations = nil }, "tolerations"},
		"a toleration widens":         {func(p *corev1.Pod) { p.Spec.Tolerations[0].Key = "" }, "tolerations"},
		"a node selector is lost":     {func(p *corev1.Pod) { p.Spec.NodeSelector = nil }, "nodeSelector"},
		"a node selector is new":      {func(p *corev1.Pod) { p.Spec.NodeSelector["b"] = "c" }, "nodeSelector"},
		"the node affinity is lost":   {func(p *corev1.Pod) { p.Spec.Affinity = nil }, "nodeAffinity"},
		"an image changes":            {func(p *corev1.Pod) { p.Spec.Containers[0].Image = "ci:8" }, "other"},
		"resources change":            {func(p *corev1.Pod) { p.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }, "other"},
		"the service account changes": {func(p *corev1.Pod) { p.Spec.ServiceAccountName = "" }, "other"},
		"a label is lost":             {func(p *corev1.Pod) { delete(p.Labels, "app") }, "other"},
		"a container is lost":         {func(p *corev1.Pod) { p.Spec.InitContainers = p.Spec.InitContainers[:1] }, "other"},
		"a container is new": {func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "new"})
		}, "other"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var pod map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(provenPod), &pod))
			m := &migration{options: Options{Cluster: config.BuiltIn()}, compiled: map[string]*inject.Policies{}}
			w := &workload{name: "p", namespace: "ci", pod: pod, origins: []origin{{"", ""}}}
			task, err := m.plan(w)
			require.NoError(t, err)
			after, plan, err := m.decide(w, labelled(without(pod, task.wiring.pointers()), nil), nil)
			require.NoError(t, err)
			before, err := typed(pod)
			require.NoError(t, err)
			c.change(after)
			differences := task.compare(before, after, plan).differences
			if c.property == "" {
				require.Empty(t, differences)
				return
			}
			require.NotEmpty(t, differences)
			require.Equal(t, c.property, differences[0].Property, differences)
			require.NotEmpty(t, differences[0].Means)
		})
	}
}
