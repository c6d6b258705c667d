package integration

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

// TestAMeshThatSortsAfterUs registers an injector that sorts after ours and gives pods a proxy, as meshes do. On our first
// call the proxy is not there: only the labels say that it will be.
func TestAMeshThatSortsAfterUs(t *testing.T) {
	late := appendingWebhook(t, "istio-proxy")
	// As Istio's own selectors do.
	late.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "sidecar.istio.io/inject", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"false"}},
	}}
	require.NoError(t, shared.RegisterWebhooks(t.Context(), late))
	defer func() { require.NoError(t, shared.DeleteWebhooks(t.Context(), late)) }()

	cases := map[string]struct {
		transport string
		namespace map[string]string
		annotated map[string]string
		pod       map[string]string
		proxy     bool
		waits     bool
		status    string
	}{
		"mesh-tcp":    {"tcp", map[string]string{"istio-injection": "enabled"}, nil, nil, true, false, "off: mesh (istio-injection)"},
		"mesh-socket": {"socket", map[string]string{"istio-injection": "enabled"}, nil, nil, true, true, "on"},
		"mesh-opt-out": {"tcp", map[string]string{"istio-injection": "enabled"}, nil, map[string]string{"sidecar.istio.io/inject": "false"},
			false, true, "on"},
		"mesh-linkerd": {"tcp", nil, map[string]string{"linkerd.io/inject": "enabled"}, nil, true, false, "off: mesh (linkerd.io/inject)"},
		"mesh-unseen":  {"tcp", nil, nil, nil, true, true, "on: before a mesh (container istio-proxy)"},
	}
	for namespace, c := range cases {
		t.Run(namespace, func(t *testing.T) {
			setWaitPolicy(t, namespace, c.transport)
			labels := map[string]string{"late": "true"}
			for key, value := range c.namespace {
				labels[key] = value
			}
			require.NoError(t, shared.CreateNamespace(t.Context(), namespace, labels, c.annotated))
			all := map[string]string{inject.LabelInject: "true"}
			for key, value := range c.pod {
				all[key] = value
			}
			created := create(t, namespace, runner("runner", all), "")
			require.Equal(t, http.StatusCreated, created.code, created.status.Message)
			calls := map[bool]int{true: 2, false: 1}[c.proxy]
			require.Equal(t, calls, shared.calls(namespace), "the API server calls again after a change, and only then")
			require.Equal(t, c.proxy, hasContainer(created.pod.Spec.Containers, "istio-proxy"))
			require.Equal(t, c.waits, hasContainer(created.pod.Spec.InitContainers, "dagger-wait"))
			require.True(t, hasContainer(created.pod.Spec.InitContainers, "dagger-cli"))
			require.Contains(t, created.pod.Annotations[inject.AnnotationStatus], `"wait":"`+c.status+`"`)
			requireNoChangeOnSecondCall(t, &fixtures.Case{Name: namespace}, created)
		})
	}
}

// setWaitPolicy makes a policy hold in a namespace whose pods wait by a transport.
func setWaitPolicy(t *testing.T, namespace, transport string) {
	t.Helper()
	policies := inject.NewPolicies(config.FromFile("test", []byte(`
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {transport: `+transport+`, socket: {hostPath: /run/d}, tcp: {address: "engine.ci.svc:1234"}}
cli: {image: "registry.dagger.io/engine:v0.21.8"}
wait: {image: "registry.example.com/dagger-inject:v1", imagePullSecret: ours}
`), config.OriginCluster), nil, nil)
	require.NoError(t, policies.Err())
	shared.setPolicies(namespace, func() *inject.Policies { return policies })
}

// TestOurPullSecretTakesNoneOfTheAccounts: the API server gives a pod its service account's pull secrets if it has none.
func TestOurPullSecretTakesNoneOfTheAccounts(t *testing.T) {
	require.NoError(t, shared.CreateNamespace(t.Context(), "pull-secrets", nil, nil))
	require.NoError(t, shared.Client().Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta:       metav1.ObjectMeta{Namespace: "pull-secrets", Name: "puller"},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "accounts"}},
	}))
	setWaitPolicy(t, "pull-secrets", "tcp")
	var pod corev1.Pod
	require.NoError(t, json.Unmarshal(runner("runner", optedIn), &pod))
	pod.Spec.ServiceAccountName = "puller"
	created := create(t, "pull-secrets", asJSON(t, &pod), "")
	require.Equal(t, http.StatusCreated, created.code, created.status.Message)
	require.Equal(t, []corev1.LocalObjectReference{{Name: "accounts"}, {Name: "ours"}}, created.pod.Spec.ImagePullSecrets)
	requireNoChangeOnSecondCall(t, &fixtures.Case{Name: "pull-secrets"}, created)
}

func hasContainer(containers []corev1.Container, name string) bool {
	for _, c := range containers {
		if c.Name == name {
			return true
		}
	}
	return false
}
