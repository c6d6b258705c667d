package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// fixture is a handler with everything around it in reach.
type fixture struct {
	*Handler
	log *bytes.Buffer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	log := &bytes.Buffer{}
	policies := inject.NewPolicies(config.BuiltIn(), nil, nil)
	return &fixture{log: log, Handler: &Handler{
		Entry:   inject.EntryPod,
		Source:  Static{Policies: policies},
		Metrics: NewMetrics(prometheus.NewRegistry()),
		Log:     slog.New(slog.NewJSONHandler(log, nil)),
		Version: "test",
	}}
}

func (f *fixture) post(body string) *httptest.ResponseRecorder {
	return f.do(httptest.NewRequest(http.MethodPost, registration.PathPod, strings.NewReader(body)), "application/json")
}

func (f *fixture) do(r *http.Request, contentType string) *httptest.ResponseRecorder {
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func (f *fixture) counted(decision inject.Decision, reason inject.Reason) float64 {
	return testutil.ToFloat64(f.Metrics.requests.WithLabelValues(string(decision), string(reason)))
}

const asking = `{"metadata":{"name":"p","labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a","image":"i"}]}}`

func reviewOf(pod string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1","kind":{"group":"","version":"v1","kind":"Pod"},` +
		`"namespace":"ci","operation":"CREATE","object":` + pod + `}}`
}

func response(t *testing.T, w *httptest.ResponseRecorder) *admissionv1.AdmissionResponse {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var review admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &review))
	require.Equal(t, "admission.k8s.io/v1", review.APIVersion)
	require.Equal(t, "AdmissionReview", review.Kind)
	return review.Response
}

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

// unsized hides the size of a body, as a chunked request does.
type unsized struct{ io.Reader }

func TestSizesAreBounded(t *testing.T) {
	f := newFixture(t)
	huge := reviewOf(`{"x":"` + strings.Repeat("x", MaxRequestBytes) + `"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, f.post(huge).Code)
	chunked := httptest.NewRequest(http.MethodPost, registration.PathPod, unsized{strings.NewReader(huge)})
	require.EqualValues(t, -1, chunked.ContentLength)
	require.Equal(t, http.StatusRequestEntityTooLarge, f.do(chunked, "application/json").Code)
	chunked = httptest.NewRequest(http.MethodPost, registration.PathPod, unsized{strings.NewReader(reviewOf(asking))})
	require.NotEmpty(t, response(t, f.do(chunked, "application/json")).Patch)

	short := httptest.NewRequest(http.MethodPost, registration.PathPod, strings.NewReader("{"))
	short.ContentLength = 100
	require.Equal(t, http.StatusBadRequest, f.do(short, "application/json").Code)
}

func TestBytesInFlightAreBounded(t *testing.T) {
	f := newFixture(t)
	require.True(t, largeInFlight.TryAcquire(maxLargeInFlight))
	large := strings.Replace(asking, `"image":"i"`, `"image":"`+strings.Repeat("i", smallRequest)+`"`, 1)
	w := f.post(reviewOf(large))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Contains(t, w.Body.String(), "too many requests at one time")
	require.Equal(t, http.StatusOK, f.post(reviewOf(asking)).Code, "large requests do not keep ordinary ones out")
	largeInFlight.Release(maxLargeInFlight)
	require.Equal(t, http.StatusOK, f.post(reviewOf(large)).Code)
	require.True(t, largeInFlight.TryAcquire(maxLargeInFlight), "what was held is given back")
	largeInFlight.Release(maxLargeInFlight)
}

func TestLargePods(t *testing.T) {
	many := func(n int, of string) string { return strings.TrimSuffix(strings.Repeat(of+",", n), ",") }
	cases := map[string]struct {
		pod     string
		patched bool
	}{
		"3 MB of one value": {strings.Replace(asking, `"image":"i"`, `"image":"`+strings.Repeat("i", 3<<20)+`"`, 1), true},
		"1.5 MB of variables": {strings.Replace(asking, `"image":"i"`, `"env":[`+many(40000, `{"name":"VARIABLE","value":"value"}`)+`]`, 1),
			true},
		"200 containers":     {strings.Replace(asking, `{"name":"a","image":"i"}`, many(200, `{"name":"a","image":"i"}`), 1), true},
		"10,000 tolerations": {strings.Replace(asking, `"containers"`, `"tolerations":[`+many(10000, `{"key":"a"}`)+`],"containers"`, 1), true},
		"10,000 labels":      {strings.Replace(asking, `"dagger.io/inject"`, manyLabels(10000)+`"dagger.io/inject"`, 1), true},
		"10,000 terms": {strings.Replace(asking, `"containers"`,
			`"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[`+
				many(10000, `{"matchExpressions":[{"key":"a","operator":"Exists"}]}`)+`]}}},"containers"`, 1), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			answer := response(t, newFixture(t).post(reviewOf(c.pod)))
			require.True(t, answer.Allowed)
			require.Equal(t, c.patched, len(answer.Patch) > 0)
		})
	}
}

func TestTenThousandContainersAreRefused(t *testing.T) {
	pod := strings.Replace(asking, `{"name":"a","image":"i"}`, strings.TrimSuffix(strings.Repeat(`{"name":"a","image":"i"},`, 10000), ","), 1)
	answer := response(t, newFixture(t).post(reviewOf(pod)))
	require.False(t, answer.Allowed)
	require.Contains(t, answer.Result.Message, "it has 10000 containers, more than 1024")
}

func manyLabels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"l%d":"v",`, i)
	}
	return b.String()
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
