package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dagger-inject/dagger-inject/inject"
)

// Metrics counts and times admission requests.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	ignored  prometheus.Gauge
	events   *prometheus.CounterVec
	affinity *prometheus.CounterVec
}

// What happens to an event.
const (
	eventSent     = "sent"
	eventRepeated = "repeated" // an equal event was sent minutes ago: only counted
	eventDropped  = "dropped"  // above the limit
	eventFailed   = "failed"
)

// NewMetrics registers the metrics in r. controller-runtime's own latency histogram has one bucket a decade; this one
// resolves what a fast webhook does, from 0.25 ms to 1 s.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dagger_inject_requests_total",
			Help: "Admission requests by decision and reason.",
		}, []string{"decision", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "dagger_inject_request_duration_seconds",
			Help:    "Time to answer an admission request, from the request's headers to the answer's last byte, by webhook entry.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1},
		}, []string{"entry"}),
	}
	m.ignored = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dagger_inject_policy_ignored_fields",
		Help: "Fields of the cluster's policy that this version does not know and ignores, as a newer chart wrote it.",
	})
	m.events = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dagger_inject_events_total",
		Help: "Events about pods that cannot be injected, by what became of them: sent, repeated, dropped or failed.",
	}, []string{"result"})
	m.affinity = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dagger_inject_cache_affinity_total",
		Help: "Decisions to inject under a policy that places pods by cache, by what became of that; a second call for a pod counts again.",
	}, []string{"result"})
	for _, result := range inject.CacheAffinityResults {
		m.affinity.WithLabelValues(string(result)) // from the start, so that increase() sees the first
	}
	r.MustRegister(m.requests, m.duration, m.ignored, m.events, m.affinity)
	return m
}

// registerReadyNodes registers the size of the set of nodes that pods are placed among by cache.
func registerReadyNodes(r prometheus.Registerer, nodes func() float64) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dagger_inject_cache_affinity_nodes",
		Help: "Nodes with a ready engine, of the engine that has most; 0 where no policy places pods by cache.",
	}, nodes))
}

func (m *Metrics) placed(result inject.CacheAffinityResult) {
	if result != inject.CacheAffinityOff {
		m.affinity.WithLabelValues(string(result)).Inc()
	}
}

func (m *Metrics) observe(entry inject.Entry, decision inject.Decision, reason inject.Reason, took time.Duration) {
	m.requests.WithLabelValues(string(decision), string(reason)).Inc()
	m.duration.WithLabelValues(string(entry)).Observe(took.Seconds())
}
