package localcluster

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestUpgradeRollBackAndUninstallLeaveNothingButTheSecrets(t *testing.T) {
	if err := shared.CreateNamespace(t.Context(), ReleaseNamespace, nil, nil); client.IgnoreAlreadyExists(err) != nil {
		require.NoError(t, err)
	}
	secrets := []string{"Secret dagger-inject/dagger-inject-ca", "Secret dagger-inject/dagger-inject-tls"}
	for _, name := range []string{"dagger-inject-ca", "dagger-inject-tls"} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ReleaseNamespace, Name: name}}
		require.NoError(t, client.IgnoreNotFound(shared.Client().Delete(t.Context(), secret)))
	}
	require.EventuallyWithT(t, func(c *assertT) {
		require.NotContains(c, objects(t), "Deployment dagger-inject/dagger-inject", "another test's release")
	}, patience, 100*time.Millisecond)
	before := objects(t)

	install(t)
	requireAdded(t, before, "Deployment dagger-inject/dagger-inject", "MutatingWebhookConfiguration dagger-inject",
		"ValidatingWebhookConfiguration dagger-inject", "ClusterRole dagger-inject", "Certificate dagger-inject/dagger-inject")
	upgrade(t, "--set", "webhook.timeoutSeconds=5", "--set", "notInjectedPolicy.enabled=true")
	requireAdded(t, before, "ValidatingAdmissionPolicy dagger-inject-not-injected")
	helm(t, "rollback")
	require.NotContains(t, objects(t), "ValidatingAdmissionPolicy dagger-inject-not-injected")
	bundle, err := shared.CABundle(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, bundle, "rolling back keeps what cainjector wrote")
	requireInjected(t)
	helm(t, "uninstall")

	require.EventuallyWithT(t, func(c *assertT) {
		require.ElementsMatch(c, secrets, added(before, objects(t)), "cert-manager leaves its Secrets, and nothing else is left")
	}, patience, 100*time.Millisecond)
}

// requireAdded wants some objects among those that there were not before.
func requireAdded(t *testing.T, before []string, wanted ...string) {
	t.Helper()
	require.Subset(t, added(before, objects(t)), wanted)
}

// added returns what is in the second list alone. Runners' namespaces are the tests' own.
func added(before, after []string) []string {
	return slices.DeleteFunc(after, func(object string) bool { return slices.Contains(before, object) })
}

// objects lists every object of the cluster, as "Kind namespace/name", but for Events, Leases, and what is in the
// namespaces of runners.
func objects(t *testing.T) []string {
	t.Helper()
	c, err := discovery.NewDiscoveryClientForConfig(shared.Config())
	require.NoError(t, err)
	kinds, err := c.ServerPreferredResources()
	require.NoError(t, err)
	var found []string
	for _, list := range kinds {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, kind := range list.APIResources {
			if !slices.Contains(kind.Verbs, "list") || kind.Kind == "Event" || kind.Kind == "Lease" {
				continue
			}
			var all metav1.PartialObjectMetadataList
			all.SetGroupVersionKind(version.WithKind(kind.Kind + "List"))
			require.NoError(t, shared.Client().List(t.Context(), &all))
			for _, object := range all.Items {
				name := object.Name
				if kind.Namespaced {
					name = object.Namespace + "/" + name
				}
				if !isRunners(object.Namespace) && !isRunners(object.Name) {
					found = append(found, kind.Kind+" "+name)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}
