package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
)

var (
	read3 = []string{"get", "list", "watch"}
	// everywhere is what the program reads and writes in all namespaces.
	everywhere = []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"limitranges", "namespaces"}, Verbs: read3},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{config.ConfigMapName}, Verbs: read3},
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	}
	// ofEngines is what it reads where engines are.
	ofEngines = []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "deployments", "statefulsets"}, Verbs: read3},
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: read3},
	}
)

func TestRightsAreTheLeast(t *testing.T) {
	whereEnginesAre := append(append([]rbacv1.PolicyRule{}, ofEngines...), rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: read3,
	})
	for name, c := range map[string]struct {
		cluster    []rbacv1.PolicyRule
		namespaces []string // in which engines are read
		there      []rbacv1.PolicyRule
	}{
		"default":        {everywhere, []string{"dagger"}, ofEngines},
		"everything":     {append(append([]rbacv1.PolicyRule{}, everywhere...), ofEngines...), []string{"engines", "large"}, ofEngines},
		"host-network":   {everywhere, []string{"engines", "more-engines"}, ofEngines},
		"cache-affinity": {everywhere, []string{"dagger", "dagger-large"}, whereEnginesAre},
	} {
		t.Run(name, func(t *testing.T) {
			rendered := objects(t, cases(t)[name])
			account := one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.ServiceAccountName
			subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}}
			named[*corev1.ServiceAccount](t, rendered, account)

			role, binding := one[*rbacv1.ClusterRole](t, rendered), one[*rbacv1.ClusterRoleBinding](t, rendered)
			require.Equal(t, c.cluster, role.Rules)
			require.Equal(t, role.Name, binding.RoleRef.Name)
			require.Equal(t, subjects, binding.Subjects)

			var namespaces []string
			for _, role := range all[*rbacv1.Role](rendered) {
				if !isHook(role) && role.Namespace != namespace {
					namespaces = append(namespaces, role.Namespace)
					require.Equal(t, c.there, role.Rules)
				}
			}
			require.Equal(t, c.namespaces, namespaces)
			var bound []string
			for _, binding := range all[*rbacv1.RoleBinding](rendered) {
				if !isHook(binding) && binding.Namespace != namespace {
					bound = append(bound, binding.Namespace)
					require.Equal(t, subjects, binding.Subjects)
					require.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, binding.RoleRef)
				}
			}
			require.Equal(t, c.namespaces, bound)
		})
	}
}

func TestWhoMayReadThePolicyMayReadNothingElse(t *testing.T) {
	rendered := objects(t, cases(t)["everything"])
	role := named[*rbacv1.Role](t, rendered, "inject-policy-readers")
	require.Equal(t, namespace, role.Namespace)
	require.Equal(t, []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{config.ConfigMapName}, Verbs: []string{"get"}},
	}, role.Rules)
	binding := named[*rbacv1.RoleBinding](t, rendered, role.Name)
	require.Equal(t, namespace, binding.Namespace)
	require.Equal(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name}, binding.RoleRef)
	require.Equal(t, []rbacv1.Subject{
		{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "system:authenticated"},
		{Kind: rbacv1.ServiceAccountKind, Namespace: "ci", Name: "explains"},
	}, binding.Subjects)
	for _, name := range []string{"default", "without"} {
		for _, role := range all[*rbacv1.Role](objects(t, cases(t)[name])) {
			require.NotContains(t, role.Name, "policy-readers", name)
		}
	}
}

func isHook(o client.Object) bool { return o.GetAnnotations()["helm.sh/hook"] != "" }

func TestTheCheckMayCreatePodsInItsNamespaceOnly(t *testing.T) {
	rendered := objects(t, cases(t)["everything"])
	job := one[*batchv1.Job](t, rendered)
	account := named[*corev1.ServiceAccount](t, rendered, job.Spec.Template.Spec.ServiceAccountName)
	require.Equal(t, "post-install,post-upgrade,test", account.Annotations["helm.sh/hook"])
	for _, role := range all[*rbacv1.Role](rendered) {
		if isHook(role) {
			require.Equal(t, "checks", role.Namespace)
			require.Equal(t, []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create"}}}, role.Rules)
		}
	}
	for _, binding := range all[*rbacv1.RoleBinding](rendered) {
		if isHook(binding) {
			require.Equal(t, []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account.Name}}, binding.Subjects)
		}
	}
	require.Contains(t, job.Spec.Template.Spec.Containers[0].Args, "--namespace=checks")
}

func TestWhatIsTurnedOffIsNotThere(t *testing.T) {
	rendered := objects(t, cases(t)["without"])
	require.Empty(t, all[*rbacv1.ClusterRole](rendered))
	require.Empty(t, all[*rbacv1.Role](rendered))
	require.Empty(t, all[*batchv1.Job](rendered))
	require.Equal(t, "default", one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.ServiceAccountName)
	require.Equal(t, "test", one[*corev1.ServiceAccount](t, rendered).Annotations["helm.sh/hook"], "helm test works on")

	rendered = objects(t, parse(t, "discover: {enabled: false}"))
	for _, role := range all[*rbacv1.Role](rendered) {
		require.True(t, isHook(role))
	}
}
