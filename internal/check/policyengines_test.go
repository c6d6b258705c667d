package check

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
)

// TestEnginesOfTheOwnNamespaces has two namespaces opted in under a policy that names no namespace, and an engine in one.
func TestEnginesOfTheOwnNamespaces(t *testing.T) {
	optedIn := map[string]string{inject.LabelInject: "true"}
	inOwn := func() *installation {
		i := healthy(t)
		i.policy = policyOf("dagger-inject", "engine: {discover: {ownNamespace: true}}\n")
		i.engine.Namespace, i.engines[0].Namespace = "ci", "ci"
		i.others = []client.Object{namespace("ci", optedIn), namespace("without", optedIn), namespace("not-asked", nil)}
		return i
	}
	engines := func(i *installation, of string) (lines []string) {
		for _, f := range i.run(t, of) {
			if f.Check == "engines" {
				lines = append(lines, string(f.Level)+": "+f.Text)
			}
		}
		return lines
	}
	const there = "ok: DaemonSet ci/engine v0.21.8: 1 of 1 pod ready"
	lines := engines(inOwn(), "")
	require.Len(t, lines, 2)
	require.Equal(t, there, lines[0])
	require.Contains(t, lines[1], "warn: namespace without: none of the 0 workloads")
	require.Equal(t, []string{there}, engines(inOwn(), "ci"))
	lines = engines(inOwn(), "not-asked")
	require.Len(t, lines, 1, "its pods may ask themselves")
	require.Contains(t, lines[0], "warn: namespace not-asked: none of the 0 workloads")

	// A namespace's policy names an engine, which is not looked for.
	i := inOwn()
	refined := policyOf("without", "engine: {discover: {ownNamespace: false}, transport: tcp, tcp: {address: \"e.without.svc:1234\"}}\n")
	refined.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
	i.others = append(i.others, refined)
	require.Contains(t, engines(i, ""), there)
	require.NotContains(t, strings.Join(engines(i, ""), "\n"), "namespace without")

	// The webhook that is installed does not look there.
	i = inOwn()
	webhook := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{
		Namespace: "dagger-inject", Name: "dagger-inject",
		Labels: map[string]string{"app.kubernetes.io/name": "dagger-inject", "app.kubernetes.io/component": "webhook"},
	}}
	i.others = append(i.others, webhook)
	lines = engines(i, "")
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "fail: engine.discover.ownNamespace: ")
	webhook.Spec.Template.Spec.Containers = []corev1.Container{{Name: "webhook", Args: []string{"webhook", "--discover-own-namespace"}}}
	require.Contains(t, engines(i, ""), there)

	i = inOwn()
	i.others = nil
	require.Equal(t, []string{"ok: policies look in the pods' own namespaces, and no namespace is opted in; -n checks one"}, engines(i, ""))
}
