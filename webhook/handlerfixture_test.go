package webhook

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
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
