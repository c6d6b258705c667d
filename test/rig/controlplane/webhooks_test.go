package controlplane

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	reviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rounds is how often a change must be in effect at once: the API server is late by chance.
const rounds = 30

func TestWebhooksAreUsedAtOnce(t *testing.T) {
	namespace := newNamespace(t, nil)
	first, second := newWebhook(t, nil), newWebhook(t, nil)
	for range rounds {
		require.NoError(t, shared.RegisterWebhooks(t.Context(), mutating(first, namespace)))
		require.Equal(t, [2]int64{1, 0}, callsOf(t, namespace, first, second))
		require.NoError(t, shared.RegisterWebhooks(t.Context(), mutating(second, namespace)))
		require.Equal(t, [2]int64{0, 1}, callsOf(t, namespace, first, second))
		require.NoError(t, shared.DeleteWebhooks(t.Context(), mutating(first, namespace)))
		require.Equal(t, [2]int64{0, 0}, callsOf(t, namespace, first, second))
	}
	require.NoError(t, shared.DeleteWebhooks(t.Context(), mutating(first, namespace)), "deleting what is not there")
}

func TestValidatingWebhooks(t *testing.T) {
	namespace := newNamespace(t, nil)
	hook := newWebhook(t, &metav1.Status{Code: http.StatusServiceUnavailable, Reason: metav1.StatusReasonServiceUnavailable,
		Message: "no engine"})
	validate, mutate := validating(hook, namespace), mutating(newWebhook(t, nil), namespace)
	for range rounds {
		require.NoError(t, shared.RegisterWebhooks(t.Context(), validate, mutate))
		err := shared.Client().Create(t.Context(), pod(namespace), client.DryRunAll)
		require.True(t, apierrors.IsServiceUnavailable(err), "%v", err)
		require.NoError(t, shared.DeleteWebhooks(t.Context(), validate, mutate))
		require.NoError(t, shared.Client().Create(t.Context(), pod(namespace), client.DryRunAll))
	}
}

func TestWebhooksLeaveNothingBehind(t *testing.T) {
	namespace := newNamespace(t, nil)
	given := mutating(newWebhook(t, nil), namespace)
	before := given.DeepCopy()
	require.NoError(t, shared.RegisterWebhooks(t.Context(), given))
	require.Equal(t, before, given)

	require.Equal(t, []string{namespace}, registered(t))
	require.NoError(t, shared.DeleteWebhooks(t.Context(), given))
	require.Empty(t, registered(t))

	require.ErrorContains(t, shared.RegisterWebhooks(t.Context(), &corev1.Pod{}), "*v1.Pod is not a webhook configuration")
}

// registered returns the names of all mutating webhook configurations.
func registered(t *testing.T) (names []string) {
	t.Helper()
	var list admissionv1.MutatingWebhookConfigurationList
	require.NoError(t, shared.Client().List(t.Context(), &list))
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names
}

// webhook counts its calls, and refuses all of them with a status if it has one.
type webhook struct {
	*httptest.Server
	calls atomic.Int64
}

func newWebhook(t *testing.T, refusal *metav1.Status) *webhook {
	t.Helper()
	hook := &webhook{}
	hook.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hook.calls.Add(1)
		var review reviewv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &reviewv1.AdmissionResponse{UID: review.Request.UID, Allowed: refusal == nil, Result: refusal}
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(hook.Close)
	return hook
}

// target returns what both kinds of configuration need to call a webhook for the pods of a namespace.
func (w *webhook) target(namespace string) (admissionv1.WebhookClientConfig, []admissionv1.RuleWithOperations, *metav1.LabelSelector) {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw})
	return admissionv1.WebhookClientConfig{URL: ptr.To(w.URL), CABundle: authority},
		[]admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		}},
		&metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
}

func mutating(w *webhook, namespace string) *admissionv1.MutatingWebhookConfiguration {
	hook := admissionv1.MutatingWebhook{
		Name: "pods.controlplane.test", SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}
	hook.ClientConfig, hook.Rules, hook.NamespaceSelector = w.target(namespace)
	return &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace}, Webhooks: []admissionv1.MutatingWebhook{hook},
	}
}

func validating(w *webhook, namespace string) *admissionv1.ValidatingWebhookConfiguration {
	hook := admissionv1.ValidatingWebhook{
		Name: "pods.controlplane.test", SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}
	hook.ClientConfig, hook.Rules, hook.NamespaceSelector = w.target(namespace)
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace}, Webhooks: []admissionv1.ValidatingWebhook{hook},
	}
}

// callsOf creates a pod and returns how often each webhook was called for it.
func callsOf(t *testing.T, namespace string, hooks ...*webhook) (calls [2]int64) {
	t.Helper()
	for _, hook := range hooks {
		hook.calls.Store(0)
	}
	require.NoError(t, shared.Client().Create(t.Context(), pod(namespace), client.DryRunAll))
	for i, hook := range hooks {
		calls[i] = hook.calls.Load()
	}
	return calls
}
