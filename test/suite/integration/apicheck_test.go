package integration

import (
	"net"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/apicheck"
)

func TestAPICheckTellsWhatBecameOfThePod(t *testing.T) {
	admit := config.FromFile("admit", []byte("apiVersion: "+config.APIVersion+"\nkind: "+config.Kind+"\nonError: admit\n"),
		config.OriginCluster)
	policies := inject.NewPolicies(admit, nil, nil)
	shared.setPolicies("check-admitted", func() *inject.Policies { return policies })
	shared.setPolicies("check-fault", func() *inject.Policies { panic("on purpose") })
	for name, labels := range map[string]map[string]string{
		"check-injected": nil, "check-admitted": nil, "check-fault": nil,
		"check-refused": {"pod-security.kubernetes.io/enforce": "restricted"},
	} {
		require.NoError(t, shared.CreateNamespace(t.Context(), name, labels, nil))
	}
	for namespace, want := range map[string]struct {
		outcome apicheck.Outcome
		said    string
	}{
		"check-injected": {apicheck.Injected, `"containers":["job"]`},
		"check-refused":  {apicheck.Refused, inject.ReasonHostPathForbidden.Sentence()[:20]},
		"check-admitted": {apicheck.Admitted, inject.ReasonNoEngine.Sentence()[:20]},
		"check-fault":    {apicheck.Unreachable, "the webhook panicked"},
		"kube-system":    {apicheck.NotCalled, ""},
		"check-missing":  {apicheck.Failed, "not found"},
	} {
		answer := apicheck.Once(t.Context(), shared.Config(), namespace)
		require.Equal(t, want.outcome, answer.Outcome, answer)
		require.Contains(t, answer.Said, want.said)
	}
}

// TestAPICheckOfAWebhookThatHangs runs the command with the rights that the chart gives it.
func TestAPICheckOfAWebhookThatHangs(t *testing.T) {
	ctx := t.Context()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, silent.Close()) }()
	require.NoError(t, shared.CreateNamespace(ctx, "check-hangs", nil, nil))
	hanging := registration.Configuration(clientConfig(silent.Addr().(*net.TCPAddr).Port, shared.ca), releaseNamespace)
	hanging.Name = "hanging"
	hanging.Webhooks = hanging.Webhooks[:1]
	hanging.Webhooks[0].TimeoutSeconds = ptr.To[int32](1)
	hanging.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "check-hangs"}}
	require.NoError(t, shared.RegisterWebhooks(ctx, hanging))
	defer func() { require.NoError(t, shared.DeleteWebhooks(ctx, hanging)) }()

	for _, object := range []client.Object{
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: "check-hangs", Name: "check"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create"}}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "check-hangs", Name: "check"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "check"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "check-hangs", Name: "default"}},
		},
	} {
		require.NoError(t, shared.Client().Create(ctx, object))
	}
	account, err := shared.ServiceAccountConfig(ctx, "check-hangs", "default")
	require.NoError(t, err)
	kubeconfig, err := shared.Kubeconfig(account)
	require.NoError(t, err)
	path, err := binary()
	require.NoError(t, err)
	said, err := exec.CommandContext(ctx, path, "check", "api", "--kubeconfig", kubeconfig, "--namespace", "check-hangs", "--timeout",
		"5s").CombinedOutput()
	var exited *exec.ExitError
	require.ErrorAs(t, err, &exited, "%s", said)
	require.Equal(t, 1, exited.ExitCode())
	require.Contains(t, string(said), "the API server cannot call the webhook")
	require.Contains(t, string(said), "webhook.port 10250", "the usual causes are named")
	require.Contains(t, string(said), "hostNetwork=true")
}
