package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// handlers returns the three handlers that are compared, without a server.
func handlers(t testing.TB) map[string]http.Handler {
	typed, err := newTyped(builtInPolicies())
	require.NoError(t, err)
	ours := http.NewServeMux()
	metrics := webhook.NewMetrics(prometheus.NewRegistry())
	for _, entry := range registration.Entries {
		policies := builtInPolicies()
		ours.Handle(entry.Path, &webhook.Handler{
			Entry:   entry.Decision,
			Source:  webhook.Static{Labels: namespaceLabels, Policies: policies},
			Metrics: metrics,
			Log:     slog.New(slog.NewJSONHandler(io.Discard, nil)),
			Version: version,
		})
	}
	return map[string]http.Handler{serverFloor: http.HandlerFunc(allow), serverTyped: typed, serverOurs: ours}
}

func allReviews(t testing.TB) []*review {
	reviews, err := loadReviews()
	require.NoError(t, err)
	return reviews
}

// TestInjectionsAreEquivalent holds the benchmark to its claim between the rare times that it is run.
func TestInjectionsAreEquivalent(t *testing.T) {
	children := map[string]*child{}
	for server, handler := range handlers(t) {
		s := httptest.NewServer(handler)
		t.Cleanup(s.Close)
		children[server] = &child{server: server, url: s.URL}
	}
	require.NoError(t, verify(t.Context(), http.DefaultClient, children, allReviews(t)))
}

func TestTheMixedLoadAndTheTargetsHaveTheirReviews(t *testing.T) {
	reviews := allReviews(t)
	all := loads(reviews)
	mixed := all[len(all)-1]
	require.Equal(t, nameMixed, mixed.name)
	require.Len(t, mixed.reviews, 4)
	for _, r := range reviews {
		require.NotZero(t, r.managed, "%s was recorded without managedFields", r.name)
		if r.runner {
			require.LessOrEqual(t, r.pod-r.managed, 12_000)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, r := range allReviews(b) {
		b.Run(r.name, func(b *testing.B) {
			text := string(r.body)
			var doc rawjson.Document
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				_, err := doc.Parse(text)
				require.NoError(b, err)
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, r := range allReviews(b) {
		b.Run(r.name, func(b *testing.B) {
			d, err := newDecider(r)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, d.decide())
			}
		})
	}
}

func BenchmarkHandler(b *testing.B) {
	all := handlers(b)
	for _, server := range servers {
		for _, r := range allReviews(b) {
			b.Run(server+"/"+r.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					request := httptest.NewRequest(http.MethodPost, r.path, bytes.NewReader(r.body))
					request.Header.Set("Content-Type", "application/json")
					answer := &discarded{header: http.Header{}}
					all[server].ServeHTTP(answer, request)
					require.LessOrEqual(b, answer.code, http.StatusOK)
				}
			})
		}
	}
}

// discarded is a ResponseWriter that keeps nothing but the code.
type discarded struct {
	header http.Header
	code   int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) WriteHeader(code int)        { d.code = code }
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }
