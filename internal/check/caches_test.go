package check

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/inject"
)

func aNode(name string, change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: name}}
	if change != nil {
		change(n)
	}
	return n
}

// aStatefulSet puts an engine in place of the DaemonSet, with a claim for its cache.
func aStatefulSet(i *installation) {
	s := &appsv1.StatefulSet{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}, ObjectMeta: i.engine.ObjectMeta}
	s.Spec.Selector, s.Spec.Template = i.engine.Spec.Selector, i.engine.Spec.Template
	s.Spec.Template.Labels = map[string]string{"app": "dagger"}
	s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType
	s.Spec.Template.Spec.Volumes = s.Spec.Template.Spec.Volumes[:1]
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	i.engine.Spec.Template = corev1.PodTemplateSpec{}
	i.others = append(i.others, s)
}

// cacheCase changes a healthy installation, and has the one finding that comes of it.
type cacheCase struct {
	change func(*installation)
	want   string // empty for nothing
}

func requireCacheFinding(t *testing.T, cases map[string]cacheCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i := healthy(t)
			c.change(i)
			found := i.findingsOf(t, "caches")
			require.Len(t, found, 1, "%+v", found)
			if c.want == "" {
				require.Equal(t, OK, found[0].Level, "%+v", found)
				return
			}
			require.Equal(t, Warn, found[0].Level)
			require.Contains(t, found[0].Text, c.want)
			require.NotEmpty(t, found[0].Remedy)
		})
	}
}

// enginePod is the pod template's spec of the engine.
func enginePod(i *installation) *corev1.PodSpec { return &i.engine.Spec.Template.Spec }

func TestWhatEndangersACache(t *testing.T) {
	requireCacheFinding(t, map[string]cacheCase{
		"the chart's grace period": {func(i *installation) { enginePod(i).TerminationGracePeriodSeconds = ptr.To[int64](300) },
			"has 300 s to write its cache out"},
		"no grace period": {func(i *installation) { enginePod(i).TerminationGracePeriodSeconds = nil }, "has 30 s to write its cache out"},
		"an emptyDir": {func(i *installation) {
			enginePod(i).Volumes[1].VolumeSource = corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
		}, "keeps its cache in the pod"},
		"no volume": {func(i *installation) {
			c := &enginePod(i).Containers[0]
			c.VolumeMounts = c.VolumeMounts[:1]
		}, "keeps its cache in the pod"},
		"the default updateStrategy": {func(i *installation) { i.engine.Spec.UpdateStrategy.Type = "" }, "restarts engines under running jobs"},
		"no memory limit": {func(i *installation) { enginePod(i).Containers[0].Resources.Limits = nil },
			"has no memory limit, on nodes that also run jobs"},
		"no metrics":    {func(i *installation) { enginePod(i).Containers[0].Env = nil }, "serves no metrics"},
		"a StatefulSet": {aStatefulSet, "StatefulSet dagger/engine has no PodDisruptionBudget"},
		"one with a budget": {func(i *installation) {
			aStatefulSet(i)
			i.others = append(i.others, &policyv1.PodDisruptionBudget{
				TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "dagger", Name: "b"},
				Spec:       policyv1.PodDisruptionBudgetSpec{Selector: i.engine.Spec.Selector},
			})
		}, ""},
		"a CLI that is too old": {func(i *installation) {
			i.others = append(i.others, asking("old",
				map[string]string{inject.AnnotationStatus: `{"readFrom":"DaemonSet dagger/engine","cliImage":"registry.dagger.io/engine:v0.18.0"}`}))
		}, "DaemonSet dagger/engine cannot serve the CLI of 1 pod, such as ci/old: the client is v0.18.0"},
		"a CLI that fits": {func(i *installation) {
			i.others = append(i.others, asking("new",
				map[string]string{inject.AnnotationStatus: `{"readFrom":"DaemonSet dagger/engine","cliImage":"registry.dagger.io/engine:v0.21.8"}`}))
		}, ""},
	})
}

func TestNodesWithoutAnEngineAreNamed(t *testing.T) {
	requireCacheFinding(t, map[string]cacheCase{
		"a node with the engine": {func(i *installation) { i.others = append(i.others, aNode("", nil)) }, ""},
		"a node without": {func(i *installation) { i.others = append(i.others, aNode("bare", nil)) },
			"jobs can land on 1 node without a ready engine, such as bare"},
		"a node that the pool is not": {func(i *installation) {
			enginePod(i).NodeSelector = map[string]string{"pool": "ci"}
			i.others = append(i.others, aNode("bare", nil))
		}, ""},
		"a tainted node": {func(i *installation) {
			i.others = append(i.others, aNode("bare", func(n *corev1.Node) {
				n.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
			}))
		}, ""},
		"one whose taint the engine tolerates": {func(i *installation) {
			enginePod(i).Tolerations = []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
			i.others = append(i.others, aNode("bare", func(n *corev1.Node) {
				n.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
			}))
		}, "such as bare"},
		"a node that is drained": {func(i *installation) {
			i.others = append(i.others, aNode("bare", func(n *corev1.Node) { n.Spec.Unschedulable = true }))
		}, ""},
		"nodes that may not be read": {func(i *installation) { i.forbidden["NodeList"] = true },
			"cannot be read: the nodes that jobs can land on"},
	})
}
