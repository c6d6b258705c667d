// Package webhook contains everything that talks to Kubernetes: the admission handler, what it reads from the cluster, the
// server it runs in, and its metrics. Package inject decides what happens to a pod.
//
// It is exported so that other programs can serve the webhook, with Run, RunStandalone or a Handler. The Go API is not stable
// before v1: a minor version may change it, and CHANGELOG.md then says so.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// Source returns the facts and policies of a namespace.
type Source interface {
	// Lookup returns the facts about the namespace, and its policies. An error is an internal fault: the handler answers like
	// a webhook that cannot be reached, so that failurePolicy decides.
	Lookup(ctx context.Context, namespace string) (inject.Namespace, *inject.Policies, error)
}

// Handler answers admission reviews of pods. It is a plain http.Handler and not controller-runtime's admission.Webhook,
// which turns a panic into `allowed: false` and so rejects pods even under failurePolicy Ignore.
type Handler struct {
	// Entry is the webhook entry that the handler serves.
	Entry inject.Entry
	// Source returns the facts and policies of a pod's namespace.
	Source Source
	// Metrics counts and times requests.
	Metrics *Metrics
	// Log gets one line for each decision.
	Log *slog.Logger
	// Events writes events about pods that cannot be injected; nil writes none.
	Events *EventEmitter
	// Cluster returns what is known of the cluster; nil means nothing. It is called for every request.
	Cluster func() inject.Cluster
	// Ready returns which pods of engines are ready; nil if that is not known. It is called for every request.
	Ready func() engine.Ready
	// Version is this program's version.
	Version string

	// decide is inject.Decide; tests replace it to fail on purpose.
	decide func(inject.Input) *inject.Plan
}

// decideTimeout bounds one decision, well inside the webhook's own time-out.
const decideTimeout = time.Second

// httpError is an answer other than 200. The API server counts it as a failed call, and shows its message, since the body is a
// Status.
type httpError struct {
	code    int
	reason  inject.Reason
	message string
}

func (e *httpError) Error() string { return e.message }

func badRequest(code int, format string, args ...any) error {
	return &httpError{code: code, reason: inject.ReasonBadRequest, message: fmt.Sprintf(format, args...)}
}

// ServeHTTP answers one admission review.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	started := time.Now()
	outcome := outcome{decision: inject.DecisionError, reason: inject.ReasonInternalError}
	defer func() {
		if panicked := recover(); panicked != nil {
			h.Log.Error("panic", "entry", h.Entry, "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
			outcome.decision, outcome.reason = inject.DecisionError, inject.ReasonInternalError
			writeError(w, http.StatusInternalServerError, "the webhook panicked: see its log")
		}
		h.Metrics.observe(h.Entry, outcome.decision, outcome.reason, time.Since(started))
	}()
	x := begin(w, req)
	defer x.end()
	answer, err := h.serve(req, x, &outcome)
	if err != nil {
		var he *httpError
		if !errors.As(err, &he) {
			he = &httpError{code: http.StatusInternalServerError, reason: inject.ReasonInternalError, message: err.Error()}
		}
		outcome.reason = he.reason
		h.Log.Warn("request not answered", "entry", h.Entry, "decision", outcome.decision, "reason", he.reason,
			"code", he.code, "error", he.message)
		writeError(w, he.code, he.message)
		return
	}
	x.write(w, answer)
	h.Metrics.placed(outcome.plan.CacheAffinity)
	h.Events.tell(&outcome.request, outcome.plan)
	outcome.log(h, time.Since(started))
}

// outcome is the result of a request, for the log and the metrics.
type outcome struct {
	decision inject.Decision
	reason   inject.Reason
	request  request
	name     string
	plan     *inject.Plan
}

func (o *outcome) log(h *Handler, took time.Duration) {
	level := slog.LevelInfo
	if o.decision == inject.DecisionRefused || o.decision == inject.DecisionAdmitted {
		level = slog.LevelWarn
	}
	// Room for all keeps them off the heap, and tookMicros is an integer because slog has encoding/json encode floats.
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("decision", string(o.decision)), slog.String("reason", string(o.reason)),
		slog.String("namespace", o.request.namespace), slog.String("pod", o.name[:min(len(o.name), 253)]), slog.String("uid", o.request.uid),
		slog.String("entry", string(h.Entry)), slog.Bool("dryRun", o.request.dryRun),
		slog.Int("operations", len(o.plan.Operations)), slog.Int64("tookMicros", took.Microseconds()),
	)
	if o.plan.System != inject.SystemNone {
		attrs = append(attrs, slog.String("system", string(o.plan.System)))
	}
	if o.plan.Detail != "" {
		attrs = append(attrs, slog.String("detail", o.plan.Detail))
	}
	h.Log.LogAttrs(context.Background(), level, "decided", attrs...)
}

func (h *Handler) serve(req *http.Request, x *exchange, o *outcome) ([]byte, error) {
	text, err := x.read(req)
	if err != nil {
		return nil, err
	}
	review, err := x.doc.Parse(text)
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "%v", err)
	}
	r, err := readRequest(review)
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "%v", err)
	}
	o.request, o.name = *r, r.podName()
	// The server cancels the contexts of running requests when it stops; finish them anyway.
	plan, err := h.plan(context.WithoutCancel(req.Context()), r, x.weight)
	switch {
	case err != nil:
		return nil, err
	case plan.Reason == inject.ReasonInternalError:
		return nil, errors.New(plan.Detail)
	case plan.Decision == inject.DecisionError:
		return nil, badRequest(http.StatusBadRequest, "request.object: %s", plan.Detail)
	}
	answer, err := respond(r, plan, x.buffer)
	if err == nil {
		o.plan, o.decision, o.reason = plan, plan.Decision, plan.Reason
	}
	return answer, err
}

func (h *Handler) plan(ctx context.Context, r *request, held *weight) (*inject.Plan, error) {
	if r.operation != string(admissionv1.Create) {
		// The webhook acts on creations only. If it is registered for more operations, it must not prevent them.
		return &inject.Plan{Decision: inject.DecisionSkipped, Reason: inject.ReasonNotRequested, Detail: "the operation is not CREATE"}, nil
	}
	ns, policies, err := h.Source.Lookup(ctx, r.namespace)
	if err != nil {
		return nil, err
	}
	if err := held.takeAnswer(ctx, policies.MostAdded(r.pod.Get("spec").Get("containers").Len())); err != nil {
		return nil, err
	}
	decide := h.decide
	if decide == nil {
		decide = inject.Decide
	}
	var cluster inject.Cluster
	if h.Cluster != nil {
		cluster = h.Cluster()
	}
	var ready engine.Ready
	if h.Ready != nil {
		ready = h.Ready()
	}
	deadline := time.Now().Add(decideTimeout)
	return decide(inject.Input{
		Pod: r.pod, Namespace: ns, Entry: h.Entry, Policies: policies, Cluster: cluster, Ready: ready, Version: h.Version,
		Interrupted: func() bool { return time.Now().After(deadline) },
	}), nil
}

func writeError(w http.ResponseWriter, code int, message string) {
	reason := metav1.StatusReasonBadRequest
	if code >= http.StatusInternalServerError {
		reason = metav1.StatusReasonInternalError
	}
	body, err := json.Marshal(status(int32(code), reason, message))
	if err != nil {
		body = nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
