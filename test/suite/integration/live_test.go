package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// The live webhook is the program itself, run as a service account with the least rights, with its policies in ConfigMaps.
// It serves the namespaces whose liveLabel is true; the other one, in this process, serves those without the label.
const (
	liveLabel     = "live"
	liveRelease   = "live-release"
	validateLabel = "validate"
)

// live is the running program.
type live struct {
	*program.Process
	metrics string
}

var (
	liveOnce    sync.Once
	liveProcess *live
	liveErr     error
)

// startLive starts the live webhook with the first test that needs it.
func startLive(t *testing.T) *live {
	t.Helper()
	liveOnce.Do(func() { liveProcess, liveErr = newLive(t, liveRelease, "true") })
	require.NoError(t, liveErr)
	return liveProcess
}

func stopLive() {
	if liveProcess != nil {
		if err := liveProcess.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "the live webhook:", err)
		}
	}
}

// newLive starts the program in a release namespace, for the namespaces whose liveLabel has the value.
func newLive(t *testing.T, release, value string, more ...string) (*live, error) {
	ctx := context.WithoutCancel(t.Context())
	if err := shared.CreateNamespace(ctx, release, nil, nil); err != nil {
		return nil, err
	}
	grant(t, release)
	if err := shared.Client().Create(ctx, policyMap(release, config.DefaultYAML())); err != nil {
		return nil, err
	}
	account, err := shared.ServiceAccountConfig(ctx, release, "default")
	if err != nil {
		return nil, err
	}
	kubeconfig, err := shared.Kubeconfig(account)
	if err != nil {
		return nil, err
	}
	certs := filepath.Join(temporary, release)
	if _, err := webhook.EnsureCertificate(certs); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(certs, "tls.crt"))
	if err != nil {
		return nil, err
	}
	path, err := binary()
	if err != nil {
		return nil, err
	}
	free, err := program.FreePorts(3)
	if err != nil {
		return nil, err
	}
	l := &live{metrics: "http://" + program.Loopback(free[1]) + "/metrics"}
	args := []string{"webhook", "--kubeconfig", kubeconfig, "--release-namespace", release, "--bind-address", "127.0.0.1",
		"--port", strconv.Itoa(free[0]), "--cert-dir", certs, "--metrics-bind-address", program.Loopback(free[1]),
		"--health-probe-bind-address", program.Loopback(free[2]), "--drain-quiet-period", "0s"}
	if l.Process, err = program.Start(path, append(args, more...)...); err != nil {
		return nil, err
	}
	if err := l.WaitReady(ctx, "http://"+program.Loopback(free[2])+"/readyz"); err != nil {
		return l, err
	}
	only := func(label string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: label, Operator: metav1.LabelSelectorOpIn, Values: []string{value}}
	}
	mutating := registration.Configuration(clientConfig(free[0], ca), release)
	mutating.Name += "-" + release
	for i := range mutating.Webhooks {
		selector := mutating.Webhooks[i].NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions, only(liveLabel))
	}
	validating := registration.ValidatingConfiguration(clientConfig(free[0], ca))
	validating.Name += "-" + release
	// Other tests need policies that are bad, as they come in while the webhook is away.
	validating.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{only(validateLabel)}}
	return l, shared.RegisterWebhooks(ctx, mutating, validating)
}

// liveNamespace creates a namespace that the live webhook serves.
func liveNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	startLive(t)
	all := map[string]string{liveLabel: "true"}
	for key, value := range labels {
		all[key] = value
	}
	require.NoError(t, shared.CreateNamespace(t.Context(), name, all, nil))
}

// policyMap is a ConfigMap with documents: the first is the default profile's, the others come in pairs of a name and one.
func policyMap(namespace, document string, profiles ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: config.ConfigMapName},
		Data:       map[string]string{"policy.yaml": document},
	}
	for i := 0; i+1 < len(profiles); i += 2 {
		cm.Data[profiles[i]+".yaml"] = profiles[i+1]
	}
	return cm
}

const policyHeader = "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"

// put creates or replaces a ConfigMap.
func put(t *testing.T, cm *corev1.ConfigMap) {
	t.Helper()
	err := shared.Client().Create(t.Context(), cm)
	if apierrors.IsAlreadyExists(err) {
		var have corev1.ConfigMap
		require.NoError(t, shared.Client().Get(t.Context(), client.ObjectKeyFromObject(cm), &have))
		cm.ResourceVersion = have.ResourceVersion
		err = shared.Client().Update(t.Context(), cm)
	}
	require.NoError(t, err)
}

// host returns the engine that a created pod was given, empty if it was given none.
func host(c creation) string {
	for _, container := range c.pod.Spec.Containers {
		for _, e := range container.Env {
			if e.Name == inject.EnvRunnerHost {
				return e.Value
			}
		}
	}
	return ""
}

// annotated returns a pod with the label and annotations.
func annotated(name string, annotations map[string]string) []byte {
	quoted := make([]string, 0, len(annotations))
	for key, value := range annotations {
		quoted = append(quoted, strconv.Quote(key)+":"+strconv.Quote(value))
	}
	return []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `","labels":{"dagger.io/inject":"true"},"annotations":{` +
		strings.Join(quoted, ",") + `}},"spec":{"containers":[{"name":"a","image":"i"},{"name":"b","image":"i"}]}}`)
}
