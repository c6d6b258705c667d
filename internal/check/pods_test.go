package check

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

func asking(name string, annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ci", Name: name, Labels: map[string]string{inject.LabelInject: "true"}, Annotations: annotations,
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "i"}}},
	}
}

// job is a pod without a label of its own asking for injection.
func job(name string, labels map[string]string) *corev1.Pod {
	pod := asking(name, nil)
	pod.Labels = labels
	pod.Spec.Containers[0].Name = "runner"
	return pod
}

func TestPodsThatAskedAreInjectedOrNamed(t *testing.T) {
	optedIn := map[string]string{inject.LabelInject: "true"}
	runner := map[string]string{"actions-ephemeral-runner": "True"}
	over := job("over", runner)
	over.Status.Phase = corev1.PodSucceeded
	cases := map[string]struct {
		namespace map[string]string
		pods      []client.Object
		want      Finding
	}{
		"injected ones": {
			optedIn, []client.Object{asking("job", map[string]string{inject.AnnotationStatus: "{}"})},
			Finding{Level: OK, Text: "all pods that asked are injected (1)"},
		},
		"one that was there before the webhook": {
			nil, []client.Object{asking("early", nil)},
			Finding{Level: Warn, Text: "ci/early asked and was not injected, as it would be now", Remedy: "Create it anew."},
		},
		"one that cannot be": {
			map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, []client.Object{asking("job", nil)},
			Finding{Level: Warn, Text: "ci/job asked and was not injected: The engine's socket needs a hostPath volume",
				Remedy: "dagger-inject explain pod job -n ci"},
		},
		"a CI job that its namespace asked for while the webhook was away": {
			optedIn, []client.Object{job("missed", runner)},
			Finding{Level: Warn, Text: "ci/missed asked and was not injected, as it would be now", Remedy: "Create it anew."},
		},
		"those that a namespace's label does not reach, or that are over": {
			optedIn, []client.Object{
				job("database", map[string]string{"app": "database"}),
				job("opted-out", map[string]string{"actions-ephemeral-runner": "True", inject.LabelInject: "false"}),
				over,
			},
			Finding{Level: OK, Text: "all pods that asked are injected (0)"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i := healthy(t)
			i.others = append(c.pods, namespace("ci", c.namespace))
			found := i.findingsOf(t, "pods")
			require.Len(t, found, 1)
			require.Equal(t, c.want.Level, found[0].Level)
			require.Equal(t, c.want.Remedy, found[0].Remedy)
			require.Contains(t, found[0].Text, c.want.Text)
		})
	}
}

func TestPodsOfNamespacesThatMayNotBeReadAreNotSaidToBeInjected(t *testing.T) {
	i := healthy(t)
	i.forbidden["Namespace"] = true
	for _, f := range i.run(t, "") {
		require.NotContains(t, f.Text, "all pods that asked are injected")
	}
}

func TestLowLimitsOfStorageAreNamed(t *testing.T) {
	limits := func(amount string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(amount)}
	}
	cramped := asking("cramped", map[string]string{inject.AnnotationStatus: "{}"})
	cramped.Spec.Containers[0].Resources.Limits = limits("100Mi")
	roomy := asking("roomy", map[string]string{inject.AnnotationStatus: "{}"})
	roomy.Spec.Containers[0].Resources.Limits = limits("256Mi")
	rangeOf := func(name string, item corev1.LimitRangeItem) *corev1.LimitRange {
		return &corev1.LimitRange{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "LimitRange"}, ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: name},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}},
		}
	}
	i := healthy(t)
	i.others = []client.Object{
		namespace("ci", map[string]string{inject.LabelInject: "true"}), cramped, roomy,
		rangeOf("low", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: limits("200Mi")}),
		rangeOf("lower", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: limits("128Mi")}),
		rangeOf("enough", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: limits("1Gi"), Max: limits("2Gi")}),
		rangeOf("of-claims", corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Max: limits("1Mi")}),
	}
	var found []string
	for _, f := range i.run(t, "") {
		if f.Level != OK {
			require.Equal(t, Warn, f.Level)
			require.NotEmpty(t, f.Remedy)
			found = append(found, f.Check+": "+f.Text)
		}
	}
	require.Equal(t, []string{
		"namespaces: ci: the LimitRange low has a default of 200Mi ephemeral-storage, " +
			"against which the copy of the dagger command counts (up to 256Mi)",
		"namespaces: ci: the LimitRange lower has a max of 128Mi ephemeral-storage, " +
			"against which the copy of the dagger command counts (up to 256Mi)",
		"pods: ci has 1 pod with limits of ephemeral-storage below 256Mi, against which the copy of the dagger command counts",
	}, found)
}
