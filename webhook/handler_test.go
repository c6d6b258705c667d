package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/inject/registration"
)

func TestAnInjection(t *testing.T) {
	f := newFixture(t)
	answer := response(t, f.post(reviewOf(asking)))
	require.EqualValues(t, "u-1", answer.UID)
	require.True(t, answer.Allowed)
	require.Equal(t, admissionv1.PatchTypeJSONPatch, *answer.PatchType)
	require.Contains(t, string(answer.Patch), inject.EnvRunnerHost)
	require.Equal(t, map[string]string{"reason": "injected"}, answer.AuditAnnotations)
	require.EqualValues(t, 1, f.counted(inject.DecisionInjected, inject.ReasonInjected))

	require.Equal(t, 1, strings.Count(f.log.String(), "\n"), "one line a decision")
	var line map[string]any
	require.NoError(t, json.Unmarshal(f.log.Bytes(), &line))
	for key, want := range map[string]any{
		"decision": "injected", "reason": "injected", "namespace": "ci", "pod": "p", "uid": "u-1", "entry": "pod", "dryRun": false,
	} {
		require.Equal(t, want, line[key], key)
	}
}

func TestNothingToDoHasNoPatch(t *testing.T) {
	answer := response(t, newFixture(t).post(reviewOf(strings.Replace(asking, `"true"`, `"false"`, 1))))
	require.True(t, answer.Allowed)
	require.Empty(t, answer.Patch)
	require.Nil(t, answer.PatchType)
}

func TestARefusalIs503(t *testing.T) {
	f := newFixture(t)
	f.Source = Static{Policies: inject.NewPolicies(config.FromFile("ConfigMap a/b", []byte("x: 1"), config.OriginCluster), nil, nil)}
	answer := response(t, f.post(reviewOf(asking)))
	require.False(t, answer.Allowed)
	require.EqualValues(t, http.StatusServiceUnavailable, answer.Result.Code)
	require.Equal(t, metav1.StatusReasonServiceUnavailable, answer.Result.Reason)
	require.Contains(t, answer.Result.Message, "ConfigMap a/b, key policy.yaml: line 1: x: unknown field")
	require.EqualValues(t, 1, f.counted(inject.DecisionRefused, inject.ReasonPolicyInvalid))
}

func TestOtherOperationsAreNobodysBusiness(t *testing.T) {
	f := newFixture(t)
	for _, operation := range []string{"UPDATE", "DELETE", "CONNECT"} {
		body := strings.Replace(reviewOf(`null`), "CREATE", operation, 1)
		require.True(t, response(t, f.post(body)).Allowed, operation)
	}
}

func TestBadRequests(t *testing.T) {
	replaced := func(old, new string) string { return strings.Replace(reviewOf(asking), old, new, 1) }
	cases := map[string]struct{ body, want string }{
		"empty":              {"", "ends where a value is expected"},
		"no JSON":            {"hello", "'h' where a value is expected"},
		"truncated":          {reviewOf(asking)[:200], "the text ends inside"},
		"invalid UTF-8":      {replaced(`"p"`, "\"\xff\""), "invalid UTF-8"},
		"duplicate keys":     {replaced(`"name":"p"`, `"name":"p","name":"q"`), `(request.object.metadata): member "name" appears twice`},
		"deeply nested":      {reviewOf(strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)), "nested deeper than 256"},
		"a list":             {"[]", "want an AdmissionReview, got a list"},
		"another kind":       {replaced("AdmissionReview", "ConversionReview"), `got "admission.k8s.io/v1" and "ConversionReview"`},
		"another version":    {replaced("k8s.io/v1", "k8s.io/v1beta1"), `got "admission.k8s.io/v1beta1"`},
		"no request":         {`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}`, "request: want an object, got nothing"},
		"no uid":             {replaced("u-1", ""), "request.uid"},
		"no namespace":       {replaced(`"ci"`, `""`), "request.namespace"},
		"another object":     {replaced(`"kind":"Pod"`, `"kind":"Deployment"`), `request.kind: want a v1 Pod, got "Deployment"`},
		"another group":      {replaced(`"group":""`, `"group":"apps"`), `of group "apps"`},
		"a subresource":      {replaced(`"operation"`, `"subResource":"status","operation"`), `request.subResource: want none, got "status"`},
		"no object":          {reviewOf("null"), "request.object: want a pod, got null"},
		"an object of lists": {reviewOf(`[]`), "request.object: want a pod, got a list"},
		"wrong types":        {replaced(`"name":"a"`, `"name":1`), "request.object: spec.containers[0].name: want a string, got a number"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			w := f.post(c.body)
			require.Equal(t, http.StatusBadRequest, w.Code)
			var status metav1.Status
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &status), "the API server shows the message of a Status")
			require.Contains(t, status.Message, c.want)
			require.EqualValues(t, 1, f.counted(inject.DecisionError, inject.ReasonBadRequest))
			require.Contains(t, f.log.String(), `"reason":"bad_request"`)
		})
	}
}

func TestRequestsThatAreNotReviews(t *testing.T) {
	f := newFixture(t)
	get := f.do(httptest.NewRequest(http.MethodGet, registration.PathPod, nil), "application/json")
	require.Equal(t, http.StatusMethodNotAllowed, get.Code)
	text := f.do(httptest.NewRequest(http.MethodPost, registration.PathPod, strings.NewReader("{}")), "text/plain")
	require.Equal(t, http.StatusUnsupportedMediaType, text.Code)
	require.Contains(t, text.Body.String(), "application/json")
	charset := f.do(httptest.NewRequest(http.MethodPost, registration.PathPod, strings.NewReader(reviewOf(asking))),
		"application/json; charset=utf-8")
	require.Equal(t, http.StatusOK, charset.Code)
}

func TestAPanicIsAnInternalFault(t *testing.T) {
	f := newFixture(t)
	f.decide = func(inject.Input) *inject.Plan { panic("on purpose") }
	w := f.post(reviewOf(asking))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, f.log.String(), "on purpose")
	require.Contains(t, f.log.String(), "handler.go", "with the stack")
	require.EqualValues(t, 1, f.counted(inject.DecisionError, inject.ReasonInternalError))
}

type brokenSource struct{}

func (brokenSource) Lookup(context.Context, string) (inject.Namespace, *inject.Policies, error) {
	return inject.Namespace{}, nil, errors.New("no route to host")
}

func TestANamespaceThatCannotBeReadIsAnInternalFault(t *testing.T) {
	f := newFixture(t)
	f.Source = brokenSource{}
	w := f.post(reviewOf(asking))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), "no route to host")
	require.EqualValues(t, 1, f.counted(inject.DecisionError, inject.ReasonInternalError))
}

func TestACancelledRequestIsStillAnswered(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest(http.MethodPost, registration.PathPod, strings.NewReader(reviewOf(asking))).WithContext(ctx)
	require.NotEmpty(t, response(t, f.do(r, "application/json")).Patch, "the server cancels what runs when it stops")
}

// FuzzHandler posts anything: there is always an answer, and never a patch that does not parse.
func FuzzHandler(f *testing.F) {
	for _, pod := range []string{asking, "null", `{"metadata":{"labels":{"dagger.io/inject":"true"}},"spec":{"containers":null}}`} {
		f.Add(reviewOf(pod))
	}
	f.Add("")
	policies := inject.NewPolicies(config.BuiltIn(), nil, nil)
	handler := &Handler{
		Entry: inject.EntryNamespace, Source: Static{Policies: policies},
		Metrics: NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, registration.PathNamespace, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.NotEqual(t, http.StatusInternalServerError, w.Code, w.Body.String())
		require.True(t, json.Valid(w.Body.Bytes()))
		if w.Code == http.StatusOK {
			var d rawjson.Document
			if patch := response(t, w).Patch; len(patch) > 0 {
				_, err := d.Parse(string(patch))
				require.NoError(t, err)
			}
		}
	})
}

// TestWhatKubectlWritesToATerminalIsEscaped: the API server drops a warning with a control character, and kubectl writes the message
// of a refusal as it comes.
func TestWhatKubectlWritesToATerminalIsEscaped(t *testing.T) {
	const hostile = `\n\u001b[31m\u009b\u202ejob`
	f := newFixture(t)
	for name, pod := range map[string]string{
		"a warning": `{"metadata":{"labels":{"dagger.io/inject":"maybe` + hostile + `"}},"spec":{"containers":[{"name":"a"}]}}`,
		"a warning with a container": `{"metadata":{"labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a` + hostile +
			`","env":[{"name":"DAGGER_CLOUD_ENGINE"}]}]}}`,
		"a refusal": `{"metadata":{"labels":{"dagger.io/inject":"true"},"annotations":{"dagger.io/policy":"p` + hostile +
			`"}},"spec":{"containers":[{"name":"a"}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := f.post(reviewOf(pod))
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			var answer admissionv1.AdmissionReview
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			said := strings.Join(answer.Response.Warnings, "|")
			if answer.Response.Result != nil {
				said += answer.Response.Result.Message
			}
			require.Contains(t, said, `\n\x1b[31m\u009b\u202ejob`)
			require.Negative(t, strings.IndexFunc(said, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }), "%q", said)
		})
	}
}
