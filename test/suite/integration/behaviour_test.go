package integration

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
)

var optedIn = map[string]string{inject.LabelInject: "true"}

// runner returns a pod that is recognised as one of ARC's, with or without the label of its own.
func runner(name string, labels map[string]string) []byte {
	all := map[string]string{"actions-ephemeral-runner": "True"}
	for key, value := range labels {
		all[key] = value
	}
	pod := corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "runner", Image: "runner"}}}}
	pod.APIVersion, pod.Kind, pod.Name, pod.Labels = "v1", "Pod", name, all
	text, _ := json.Marshal(pod)
	return text
}

func injected(c creation) bool { return strings.Contains(c.stored, inject.EnvRunnerHost) }

func TestOptingInThroughTheAPIServer(t *testing.T) {
	require.NoError(t, shared.CreateNamespace(t.Context(), "opt-plain", nil, nil))
	require.NoError(t, shared.CreateNamespace(t.Context(), "opt-in", optedIn, nil))
	cases := map[string]struct {
		namespace string
		label     string
		injected  bool
		called    bool
	}{
		"nobody asks":               {"opt-plain", "", false, false},
		"the pod asks":              {"opt-plain", "true", true, true},
		"the namespace asks":        {"opt-in", "", true, true},
		"the pod asks if it can be": {"opt-plain", "optional", true, true},
		"the pod opts out":          {"opt-in", "false", false, false},
		"a value that is not ours":  {"opt-in", "yes", false, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			labels := map[string]string{}
			if c.label != "" {
				labels[inject.LabelInject] = c.label
			}
			before := shared.calls(c.namespace)
			created := create(t, c.namespace, runner(strings.ReplaceAll(strings.ToLower(name), " ", "-"), labels), "")
			require.Equal(t, http.StatusCreated, created.code, created.status.Message)
			require.Equal(t, c.injected, injected(created))
			require.Equal(t, c.called, shared.calls(c.namespace) > before)
		})
	}
}

func TestSystemNamespacesAndOurOwnAreNeverCalled(t *testing.T) {
	require.NoError(t, shared.CreateNamespace(t.Context(), releaseNamespace, optedIn, nil))
	require.NoError(t, shared.CreateServiceAccounts(t.Context(), "kube-system", "default"))
	for _, namespace := range []string{releaseNamespace, "kube-system"} {
		created := create(t, namespace, runner("left-alone", optedIn), "")
		require.Equal(t, http.StatusCreated, created.code, created.status.Message)
		require.False(t, injected(created))
		require.Zero(t, shared.calls(namespace))
	}
}

func TestANamespaceCreatedInTheSameBreath(t *testing.T) {
	for i := range 30 {
		name := fmt.Sprintf("same-breath-%d", i)
		require.NoError(t, shared.CreateNamespace(t.Context(), name, optedIn, nil))
		created := create(t, name, runner("runner", nil), "")
		require.Equal(t, http.StatusCreated, created.code, created.status.Message)
		require.True(t, injected(created), name)
	}
}

func TestDryRun(t *testing.T) {
	require.NoError(t, shared.CreateNamespace(t.Context(), "dry-run", nil, nil))
	created := create(t, "dry-run", runner("runner", optedIn), "?dryRun=All")
	require.Equal(t, http.StatusCreated, created.code)
	require.True(t, injected(created))
}

// TestAPanicIsLikeAWebhookThatCannotBeReached shows why the handler is not controller-runtime's admission.Webhook: behind
// the entry that ignores failures the pod is created, behind the other the answer is one that controllers retry.
func TestAPanicIsLikeAWebhookThatCannotBeReached(t *testing.T) {
	shared.setPolicies("panics", func() *inject.Policies { panic("on purpose") })
	require.NoError(t, shared.CreateNamespace(t.Context(), "panics", optedIn, nil))

	ignored := create(t, "panics", runner("by-namespace", nil), "")
	require.Equal(t, http.StatusCreated, ignored.code, ignored.status.Message)
	require.False(t, injected(ignored))

	optional := create(t, "panics", runner("optional", map[string]string{inject.LabelInject: inject.InjectOptional}), "")
	require.Equal(t, http.StatusCreated, optional.code, optional.status.Message)
	require.False(t, injected(optional))

	failed := create(t, "panics", runner("by-pod", optedIn), "")
	require.Equal(t, http.StatusInternalServerError, failed.code, "neither 403 nor 422")
	require.Contains(t, failed.status.Message, "the webhook panicked")
	require.Contains(t, shared.logs.String(), "on purpose", "the log has the panic")
}

// TestReinvocation registers a second webhook that sorts after ours and appends a container: the API server calls us again,
// and the container is injected too.
func TestReinvocation(t *testing.T) {
	late := appendingWebhook(t, "sidecar-job")
	require.NoError(t, shared.RegisterWebhooks(t.Context(), late))
	defer func() { require.NoError(t, shared.DeleteWebhooks(t.Context(), late)) }()
	require.NoError(t, shared.CreateNamespace(t.Context(), "reinvocation", map[string]string{"late": "true"}, nil))

	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"job","image":"a"}]}}`
	before := shared.calls("reinvocation")
	created := create(t, "reinvocation", []byte(pod), "")
	require.Equal(t, http.StatusCreated, created.code, created.status.Message)
	require.Equal(t, 2, shared.calls("reinvocation")-before)
	require.Len(t, created.pod.Spec.Containers, 2)
	for _, c := range created.pod.Spec.Containers {
		require.Len(t, c.Env, 2, c.Name)
	}
	require.Len(t, created.pod.Spec.InitContainers, 1)
	require.Contains(t, created.pod.Annotations[inject.AnnotationStatus], `"containers":["job","sidecar-job"]`)
}

// appendingWebhook serves a webhook whose configuration sorts after ours and that appends a container, once. It is for
// namespaces with the label late.
func appendingWebhook(t *testing.T, container string) *admissionregistrationv1.MutatingWebhookConfiguration {
	t.Helper()
	served := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in admissionv1.AdmissionReview
		if json.NewDecoder(r.Body).Decode(&in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		in.Response = &admissionv1.AdmissionResponse{UID: in.Request.UID, Allowed: true}
		if !strings.Contains(string(in.Request.Object.Raw), `"name":"`+container+`"`) {
			in.Response.PatchType = ptr.To(admissionv1.PatchTypeJSONPatch)
			in.Response.Patch = []byte(`[{"op":"add","path":"/spec/containers/-","value":{"name":"` + container + `","image":"late"}}]`)
		}
		in.Request = nil
		_ = json.NewEncoder(w).Encode(in)
	}))
	t.Cleanup(served.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: served.Certificate().Raw})
	configuration := registration.Configuration(func(string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{URL: ptr.To(served.URL), CABundle: ca}
	}, releaseNamespace)
	configuration.Name = "late-" + configuration.Name
	configuration.Webhooks = configuration.Webhooks[:1]
	configuration.Webhooks[0].Name = "late.example.com"
	configuration.Webhooks[0].NamespaceSelector.MatchLabels = map[string]string{"late": "true"}
	return configuration
}
