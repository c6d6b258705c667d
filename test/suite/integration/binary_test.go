package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// binary is the program, built once.
var binary = sync.OnceValues(func() (string, error) { return program.Build(context.Background(), temporary) })

// start runs the program until the test ends, and checks that it then ends by itself and without an error.
func start(t *testing.T, args ...string) *program.Process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	process, err := program.Start(path, args...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, process.Stop()) })
	return process
}

func httpsClient(t *testing.T, certDir string) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(certDir, "tls.crt"))
	require.NoError(t, err)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(ca)}, DisableKeepAlives: true}}
}

func TestStandalone(t *testing.T) {
	certs, port := t.TempDir(), ports(t, 1)[0]
	start(t, "webhook", "--standalone", "--port", strconv.Itoa(port), "--cert-dir", certs, "--namespace-labels", "dagger.io/inject=true")
	url := fmt.Sprintf("https://localhost:%d%s", port, registration.PathPod)
	s := &server{port: port}
	require.Eventually(t, func() bool {
		if _, err := os.Stat(filepath.Join(certs, "tls.crt")); err != nil {
			return false
		}
		s.client = httpsClient(t, certs)
		response, err := s.client.Get(url)
		return err == nil && response.Body.Close() == nil
	}, patience, tick)

	c := fixtures.All(t)[0]
	code, text := s.post(t, review(t, "ci", string(c.Pod(t))))
	require.Equal(t, http.StatusOK, code)
	require.NotEmpty(t, readReview(t, text).Patch)

	info, err := os.Stat(filepath.Join(certs, "tls.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	old := s.client.Transport.(*http.Transport).TLSClientConfig.Clone()
	old.MaxVersion = tls.VersionTLS12
	_, err = (&http.Client{Transport: &http.Transport{TLSClientConfig: old}}).Get(url)
	require.ErrorContains(t, err, "protocol version", "TLS 1.3 is the least")

	certPEM, keyPEM, err := certutil.GenerateSelfSignedCertKey("localhost", nil, nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(certs, "tls.key"), keyPEM, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(certs, "tls.crt"), certPEM, 0o644))
	renewed := httpsClient(t, certs)
	require.Eventually(t, func() bool {
		response, err := renewed.Get(url)
		return err == nil && response.Body.Close() == nil
	}, patience, tick, "a new certificate is served without a restart")
}

// TestInAClusterWithLeastRights runs the program as a service account that may read what it needs and nothing else.
func TestInAClusterWithLeastRights(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, shared.CreateNamespace(ctx, "least-rights", nil, nil))
	grant(t, "least-rights")
	account, err := shared.ServiceAccountConfig(ctx, "least-rights", "default")
	require.NoError(t, err)
	kubeconfig, err := shared.Kubeconfig(account)
	require.NoError(t, err)

	certs, free := t.TempDir(), ports(t, 3)
	metrics, health := program.Loopback(free[1]), program.Loopback(free[2])
	_, err = webhook.EnsureCertificate(certs)
	require.NoError(t, err)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(policy, []byte(guidePolicy), 0o644))
	process := start(t, "webhook", "--kubeconfig", kubeconfig, "--policy", policy, "--bind-address", "127.0.0.1", "--port",
		strconv.Itoa(free[0]),
		"--cert-dir", certs, "--metrics-bind-address", metrics, "--health-probe-bind-address", health, "--drain-quiet-period", "0s")
	require.NoError(t, process.WaitReady(ctx, "http://"+health+"/readyz"))

	s := &server{client: httpsClient(t, certs), port: free[0]}
	code, text := s.post(t, review(t, "least-rights", string(runner("r", optedIn))))
	require.Equal(t, http.StatusOK, code, string(text))
	require.Contains(t, string(readReview(t, text).Patch), "dagger-node", "the policy in the file holds")

	exposed := get(t, "http://"+metrics+"/metrics")
	require.Contains(t, exposed, `dagger_inject_requests_total{decision="injected",reason="injected"} 1`)
	require.Contains(t, exposed, `dagger_inject_request_duration_seconds_bucket{entry="pod",le="0.00025"}`)
	require.Contains(t, exposed, `dagger_inject_request_duration_seconds_bucket{entry="pod",le="1"}`)
	require.Contains(t, exposed, "dagger_inject_certificate_expiry_timestamp_seconds")
	require.NotContains(t, exposed, "leader_election", "nothing waits for a lease")

	checks := get(t, "http://"+health+"/readyz?verbose")
	for _, name := range []string{"caches", "certificate", "listening", "shutdown"} {
		require.Contains(t, checks, "[+]"+name+" ok")
	}
}

func grant(t *testing.T, namespace string) {
	t.Helper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"namespaces", "limitranges"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{config.ConfigMapName},
				Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: namespace},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "default"}},
	}
	for _, object := range []client.Object{role, binding} {
		require.NoError(t, shared.Client().Create(t.Context(), object))
	}
}

func ports(t *testing.T, n int) []int {
	t.Helper()
	free, err := program.FreePorts(n)
	require.NoError(t, err)
	return free
}

// get returns the body at an address.
func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
