package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// validate posts a review of a ConfigMap, and of the one before it, nil for none.
func validate(t *testing.T, cm, old *corev1.ConfigMap) *admissionv1.AdmissionResponse {
	t.Helper()
	store := NewPolicyStore("release")
	store.Set(policyMap("release", only("engine: {socket: {hostPath: /run/d}}")))
	return validateIn(t, store, cm, old)
}

// validateIn is validate with the policies that are there.
func validateIn(t *testing.T, store *PolicyStore, cm, old *corev1.ConfigMap) *admissionv1.AdmissionResponse {
	t.Helper()
	encode := func(cm *corev1.ConfigMap) (raw runtime.RawExtension) {
		if cm != nil {
			raw.Raw, _ = json.Marshal(cm)
		}
		return raw
	}
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request:  &admissionv1.AdmissionRequest{UID: "u", Namespace: cm.Namespace, Object: encode(cm), OldObject: encode(old)},
	})
	require.NoError(t, err)
	request := httptest.NewRequest(http.MethodPost, registration.PathValidate, strings.NewReader(string(body)))
	request.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	(&PolicyValidator{Store: store, Log: slog.New(slog.DiscardHandler)}).ServeHTTP(w, request)
	return response(t, w)
}

func TestTheDoorRefusesWhatPodsWouldBeRefusedFor(t *testing.T) {
	require.True(t, validate(t, policyMap("a", only("env: []")), nil).Allowed)
	bad := policyMap("a", only("engine: {socket: {hostPath: /etc}}\nonErr: auto"))
	answer := validate(t, bad, nil)
	require.False(t, answer.Allowed)
	require.EqualValues(t, http.StatusUnprocessableEntity, answer.Result.Code)
	require.Len(t, answer.Result.Details.Causes, 2)
	require.False(t, validate(t, policyMap("release", only("nonsense: 1")), nil).Allowed, "the cluster's too")
}

func TestABadPolicyThatIsThereMayGoAndMayBeLabelled(t *testing.T) {
	bad := policyMap("a", only("nonsense: 1"))
	labelled := bad.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	require.True(t, validate(t, labelled, bad).Allowed, "the policy is not what changes")
	going := bad.DeepCopy()
	going.Data["policy.yaml"] += "more: 1"
	require.False(t, validate(t, going, bad).Allowed)
	now := metav1.NewTime(time.Now())
	going.DeletionTimestamp = &now
	require.True(t, validate(t, going, bad).Allowed, "its namespace must be able to go")
}

func TestAChangeOfTheClustersPolicyWarnsOfNamespacesThatItBreaks(t *testing.T) {
	store := NewPolicyStore("release")
	cluster := func(text string) *corev1.ConfigMap {
		return policyMap("release", only("engine: {socket: {hostPath: /run/d}}\n"+text))
	}
	store.Set(cluster(""))
	for i := range breaksNamed + 2 {
		store.Set(policyMap(fmt.Sprint("team-", i), only("env: [{name: A, value: x}]")))
	}
	store.Set(policyMap("bad-already", only("nonsense: 1")))
	store.Set(policyMap("elsewhere", only("scheduling: {nodeSelector: {pool: ci}}")))

	require.Empty(t, validateIn(t, store, cluster("onError: admit"), cluster("")).Warnings)

	answer := validateIn(t, store, cluster("overrides: {fromNamespaces: [scheduling]}"), cluster(""))
	require.True(t, answer.Allowed, "the cluster's policy is not the namespaces' to keep")
	require.Len(t, answer.Warnings, breaksNamed+1)
	require.Contains(t, answer.Warnings[0], "dagger-inject: this change makes the policy of namespace team-0 invalid: ")
	require.Contains(t, answer.Warnings[0], "env: locked")
	require.Equal(t, "dagger-inject: and those of 2 more namespaces", answer.Warnings[breaksNamed])

	late, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, []string{"this change was checked against the policies of 0 namespaces of 9: there was no time for more"},
		store.breaks(late, store.Policies("release")))
}

func TestTheDoorIsBoundedAsTheOthersAre(t *testing.T) {
	door := &PolicyValidator{Store: NewPolicyStore("release"), Log: slog.New(slog.DiscardHandler)}
	post := func(body, contentType string) int {
		request := httptest.NewRequest(http.MethodPost, registration.PathValidate, strings.NewReader(body))
		request.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, request)
		return w.Code
	}
	require.Equal(t, http.StatusRequestEntityTooLarge, post(strings.Repeat(" ", MaxRequestBytes+1), "application/json"))
	require.Equal(t, http.StatusUnsupportedMediaType, post("{}", "text/plain"))
	for _, body := range []string{"", "{", "{}", `{"request":{}}`, `{"request":{"object":[]}}`,
		`{"request":{"object":{"metadata":{"name":"other"}}}}`} {
		require.Equal(t, http.StatusBadRequest, post(body, "application/json"), body)
	}
}
