package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// TestTheAPIServerCallsOnce has a pod whose init containers of ours the ServiceAccount admission plugin would give the API's token: for
// such a change the API server calls webhooks again.
func TestTheAPIServerCallsOnce(t *testing.T) {
	const namespace = "once"
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	policies := inject.NewPolicies(config.FromFile("test", []byte(`
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {socket: {hostPath: /run/dagger}}
cli: {image: registry.dagger.io/engine:v0.21.8}
wait: {image: registry.example.com/dagger-inject:v1}
`), config.OriginCluster), nil, nil)
	shared.setPolicies(namespace, func() *inject.Policies { return policies })
	created := create(t, namespace, runner("runner", optedIn), "")
	require.Equal(t, http.StatusCreated, created.code, created.status.Message)
	require.True(t, injected(created))
	for _, ours := range created.pod.Spec.InitContainers {
		require.Contains(t, ours.VolumeMounts, created.pod.Spec.Containers[0].VolumeMounts[0], "the API's token")
	}
	require.Equal(t, 1, shared.calls(namespace))
}

// TestLimitsOfCPUAreThoseThatANamespaceAsksFor has a quota and LimitRanges that refuse pods whose init containers have no limit of CPU,
// a lower one than they request, or one that is too high.
func TestLimitsOfCPUAreThoseThatANamespaceAsksFor(t *testing.T) {
	policies := inject.NewPolicies(config.FromFile("test", []byte(`
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {socket: {hostPath: /run/dagger}}
cli: {image: registry.dagger.io/engine:v0.21.8}
wait: {image: registry.example.com/dagger-inject:v1}
`), config.OriginCluster), nil, nil)
	require.NoError(t, policies.Err())
	cpu := func(amount string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(amount)}
	}
	limitRange := func(item corev1.LimitRangeItem) client.Object {
		return &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{item}}}
	}
	for name, c := range map[string]struct {
		object    client.Object
		resources string // of the runner
		limit     string // of ours, empty for none
	}{
		"quota": {&corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"limits.cpu": resource.MustParse("2")}}},
			`{"requests":{"cpu":"1"},"limits":{"cpu":"2"}}`, "2"},
		"low-default": {limitRange(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Default: cpu("50m")}), `{}`, "100m"},
		"maximum": {limitRange(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Max: cpu("2")}),
			`{"requests":{"cpu":"1"}}`, "2"},
		"ratio": {limitRange(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: cpu("2")}),
			`{"requests":{"cpu":"1"},"limits":{"cpu":"2"}}`, "100m"},
		"pod": {limitRange(corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: cpu("2")}), `{"requests":{"cpu":"1"}}`, "100m"},
		"minimum": {limitRange(corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Min: cpu("200m")}),
			`{"requests":{"cpu":"1"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := "cpu-" + name
			require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
			shared.setPolicies(namespace, func() *inject.Policies { return policies })
			c.object.SetNamespace(namespace)
			c.object.SetName("limits")
			require.NoError(t, shared.Client().Create(t.Context(), c.object))
			if quota, ok := c.object.(*corev1.ResourceQuota); ok {
				quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{"limits.cpu": resource.Quantity{}}}
				require.NoError(t, shared.Client().Status().Update(t.Context(), quota)) // in a controller's place
			}
			body := strings.Replace(string(runner("runner", optedIn)), `"resources":{}`, `"resources":`+c.resources, 1)
			var created creation
			// The caches of the API server and of the webhook follow.
			require.Eventually(t, func() bool {
				created = create(t, namespace, []byte(body), "?dryRun=All")
				if created.code != http.StatusCreated {
					return false
				}
				require.Len(t, created.pod.Spec.InitContainers, 2)
				for _, ours := range created.pod.Spec.InitContainers {
					limit, limited := ours.Resources.Limits[corev1.ResourceCPU]
					if limited != (c.limit != "") || limited && c.limit != limit.String() {
						return false
					}
				}
				return true
			}, patience, tick)
		})
	}
}
