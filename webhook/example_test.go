package webhook_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// A handler answers AdmissionReviews in any HTTP server. Run serves it with what a cluster has instead.
func ExampleHandler() {
	handler := &webhook.Handler{
		Entry:   inject.EntryPod,
		Source:  webhook.Static{Policies: inject.NewPolicies(config.BuiltIn(), nil, nil)},
		Metrics: webhook.NewMetrics(prometheus.NewRegistry()),
		Log:     slog.New(slog.DiscardHandler),
	}
	const review = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{
		"uid":"1","namespace":"ci","operation":"CREATE",
		"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},
		"object":{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"dagger.io/inject":"false"}},"spec":{"containers":[{"name":"job"}]}}}}`
	request := httptest.NewRequest(http.MethodPost, registration.PathPod, strings.NewReader(review))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	fmt.Println(answer.Code)
	fmt.Println(strings.ReplaceAll(answer.Body.String(), `,"response"`, ",\n\"response\""))
	// Output:
	// 200
	// {"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1",
	// "response":{"uid":"1","allowed":true,"auditAnnotations":{"reason":"opted_out"}}}
}
