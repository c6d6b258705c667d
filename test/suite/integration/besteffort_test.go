package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// TestAQuotaForPodsThatAreNotBestEffort has a quota that lets BestEffort pods alone into the namespace, with the init containers
// that copy the CLI and wait.
func TestAQuotaForPodsThatAreNotBestEffort(t *testing.T) {
	const namespace = "best-effort-only"
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	policies := inject.NewPolicies(config.FromFile("test", []byte(`
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {socket: {hostPath: /run/dagger}}
cli: {image: registry.dagger.io/engine:v0.21.8}
wait: {image: registry.example.com/dagger-inject:v1}
`), config.OriginCluster), nil, nil)
	require.NoError(t, policies.Err())
	shared.setPolicies(namespace, func() *inject.Policies { return policies })

	none := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quota"},
		Spec:       corev1.ResourceQuotaSpec{Hard: none, Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotBestEffort}},
	}
	require.NoError(t, shared.Client().Create(t.Context(), quota))
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none} // in a controller's place
	require.NoError(t, shared.Client().Status().Update(t.Context(), quota))

	burstable := func(name string, labels map[string]string) []byte {
		return []byte(strings.Replace(string(runner(name, labels)), `"resources":{}`, `"resources":{"requests":{"cpu":"10m"}}`, 1))
	}
	require.Eventually(t, func() bool {
		control := create(t, namespace, burstable("control", nil), "?dryRun=All")
		return control.code == http.StatusForbidden && strings.Contains(control.status.Message, "exceeded quota: quota")
	}, patience, tick, "the quota counts")

	created := create(t, namespace, runner("runner", optedIn), "")
	require.Equal(t, http.StatusCreated, created.code, created.status.Message)
	require.True(t, injected(created))
	require.Len(t, created.pod.Spec.InitContainers, 2)
	require.Equal(t, corev1.PodQOSBestEffort, created.pod.Status.QOSClass)

	refused := create(t, namespace, burstable("burstable", optedIn), "")
	require.Equal(t, http.StatusForbidden, refused.code)
	require.Contains(t, refused.status.Message, "exceeded quota: quota", "its own class is the user's")
}
