package check

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

func karpenter(image, label string) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "karpenter", Labels: map[string]string{
			"app.kubernetes.io/name": "karpenter", "app.kubernetes.io/version": label}},
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "controller", Image: image}}}}},
	}
}

// requesting is an injected job.
func requesting(name, cpu string) *corev1.Pod {
	pod := asking(name, map[string]string{inject.AnnotationStatus: "{}"})
	if cpu != "" {
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
	return pod
}

// TestWhatPlacementByCacheNeeds has one thing in each case that keeps jobs from where their cache is.
func TestWhatPlacementByCacheNeeds(t *testing.T) {
	const controller = "public.ecr.aws/karpenter/controller:"
	yes := func(context.Context, string) (bool, error) { return true, nil }
	cases := map[string]struct {
		others []client.Object
		may    func(context.Context, string) (bool, error)
		want   []Finding
	}{
		"nothing in the way": {nil, yes, []Finding{{Level: OK, Text: "the webhook may read the pods of namespace dagger"}}},
		"not asked":          {nil, nil, nil},
		"no right": {nil, func(context.Context, string) (bool, error) { return false, nil }, []Finding{{Level: Fail,
			Text: "the webhook may not read the pods of namespace dagger: no job is placed by cache"}}},
		"nobody says": {nil, func(context.Context, string) (bool, error) { return false, errors.New("away") }, []Finding{{Level: Warn,
			Text: "cannot be read: whether the webhook may read the pods of namespace dagger: away"}}},
		"an old Karpenter": {[]client.Object{karpenter(controller+"1.4.3@sha256:0", "1.4.3")}, nil, []Finding{{Level: Fail,
			Text: "Karpenter v1.4.3 (Deployment kube-system/karpenter) never scales up for jobs that are placed by cache"}}},
		"a new Karpenter": {[]client.Object{karpenter(controller+"v1.5.0", "")}, nil, []Finding{{Level: OK,
			Text: "Karpenter v1.5.0 (Deployment kube-system/karpenter) scales up"}}},
		"one that its label tells": {[]client.Object{karpenter("mirror.example.com:5000/karpenter@sha256:0", "0.37.0")}, nil,
			[]Finding{{Level: Warn, Text: "Karpenter v0.37.0 (Deployment kube-system/karpenter) is a provider's own"}}},
		"one of an unknown version": {[]client.Object{karpenter("mirror.example.com:5000/karpenter:latest", "latest")}, nil,
			[]Finding{{Level: Warn, Text: "the version of Karpenter (Deployment kube-system/karpenter) is not known"}}},
		"jobs that request nothing": {[]client.Object{requesting("a", ""), requesting("b", "100m"), requesting("c", "2")}, nil,
			[]Finding{{Level: Warn, Text: "2 of 3 injected jobs request less than 250m of CPU"}}},
		"jobs that request what they use": {[]client.Object{requesting("a", ""), requesting("b", "1"), requesting("c", "2")}, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i := healthy(t)
			i.policy, i.others, i.mayReadPods = policyOf("dagger-inject", "scheduling: {cacheAffinity: {enabled: true}}\n"), c.others, c.may
			found := i.findingsOf(t, "placement")
			require.Len(t, found, len(c.want))
			for n, want := range c.want {
				require.Equal(t, want.Level, found[n].Level)
				require.Contains(t, found[n].Text, want.Text)
				require.Equal(t, want.Level == OK, found[n].Remedy == "")
			}
		})
	}
	i := healthy(t)
	i.others = []client.Object{karpenter(controller+"1.0.0", "")}
	require.Empty(t, i.findingsOf(t, "placement"), "it is off")
}
