package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
)

func nsKey(name string) types.NamespacedName { return types.NamespacedName{Name: name} }

// TestBadPoliciesAreRefusedAtTheDoor has what kubectl apply prints.
func TestBadPoliciesAreRefusedAtTheDoor(t *testing.T) {
	liveNamespace(t, "live-door", map[string]string{validateLabel: "true"})
	var err error
	bad := policyMap("live-door", policyHeader+"engine:\n  sockets: {}\n  discover: {namespace: x}\n", "large",
		"apiVersion: v1\nkind: InjectionPolicy\n")
	bad.BinaryData = map[string][]byte{"x": {0}}
	requireSoon(t, func() bool {
		err = shared.Client().Create(t.Context(), bad.DeepCopy(), client.DryRunAll)
		return err != nil
	})
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.ErrorContains(t, err, "binaryData: a policy is text")

	bad.BinaryData = nil
	err = shared.Client().Create(t.Context(), bad.DeepCopy(), client.DryRunAll)
	for _, want := range []string{
		"the policy is invalid (",
		"key large.yaml: line 1: apiVersion: \"v1\" is not accepted: accepted is inject.dagger.io/v1alpha1",
		"key policy.yaml: line 4: engine.sockets: unknown field: did you mean socket?",
		"key policy.yaml: line 5: engine.discover.namespace: locked: the cluster's policy does not let namespaces set it",
	} {
		require.ErrorContains(t, err, want)
	}
	var status apierrors.APIStatus
	require.ErrorAs(t, err, &status)
	require.GreaterOrEqual(t, len(status.Status().Details.Causes), 3)

	good := policyMap("live-door", tcpPolicy("a:1"))
	require.NoError(t, shared.Client().Create(t.Context(), good))
	good.Data["policy.yaml"] = "x"
	require.True(t, apierrors.IsInvalid(shared.Client().Update(t.Context(), good)), "updates too")

	other := policyMap("live-door", "anything")
	other.Name = "something-else"
	require.NoError(t, shared.Client().Create(t.Context(), other), "no other ConfigMap is looked at")
}

// TestTheClustersPolicy changes what holds everywhere: a missing one, a bad one, and one that a newer chart wrote.
func TestTheClustersPolicy(t *testing.T) {
	running := startLive(t)
	liveNamespace(t, "live-cluster", nil)
	restore := func() {
		put(t, policyMap(liveRelease, config.DefaultYAML()))
		requireSoon(t, func() bool { return host(create(t, "live-cluster", annotated("p", nil), "?dryRun=All")) == socketHost })
	}
	refusedWith := func(want string) {
		t.Helper()
		var created creation
		requireSoon(t, func() bool {
			created = create(t, "live-cluster", annotated("p", nil), "?dryRun=All")
			return created.code == http.StatusServiceUnavailable
		})
		require.Contains(t, created.status.Message, want)
	}
	// Whatever fails, the tests after this one need a policy.
	defer restore()
	require.NoError(t, shared.Client().Delete(t.Context(), policyMap(liveRelease, "")))
	refusedWith("cluster's policy is missing: the ConfigMap dagger-inject-policy in the release namespace is not there")
	restore()

	newer := policyMap(liveRelease, config.DefaultYAML()+"brandNew: {field: 1}\n")
	put(t, newer.DeepCopy())
	refusedWith("brandNew: unknown field")

	newer.Annotations = map[string]string{config.AnnotationSchemaRevision: "99"}
	put(t, newer.DeepCopy())
	requireSoon(t, func() bool { return host(create(t, "live-cluster", annotated("p", nil), "?dryRun=All")) == socketHost })
	// An older binary under a newer chart's policy.
	requireSoon(t, func() bool { return strings.Contains(get(t, running.metrics), "dagger_inject_policy_ignored_fields 1") })
	restore()
	// And after the roll-back.
	requireSoon(t, func() bool { return strings.Contains(get(t, running.metrics), "dagger_inject_policy_ignored_fields 0") })

	stamped := policyMap("live-cluster", policyHeader+"brandNew: 1\n")
	stamped.Annotations = newer.Annotations
	put(t, stamped)
	refusedWith("brandNew: unknown field")
	require.NoError(t, client.IgnoreNotFound(shared.Client().Delete(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "live-cluster", Name: config.ConfigMapName}})))
}
