// Package webhook is everything that talks to Kubernetes: the admission handler, what it reads from the cluster, the
// server it runs in, and its metrics. What happens to a pod is decided in package inject.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// MaxRequestBytes bounds one request. The API server accepts objects of up to 3 MiB; managedFields and the review around
	// it come on top.
	MaxRequestBytes = 7 << 20
	// bodyTimeout and answerTimeout bound how long a request may take to arrive, and its answer to be read.
	bodyTimeout   = 3 * time.Second
	answerTimeout = 10 * time.Second
	// keptValues is how large an index a pooled document may keep: that of a review of about 100 KB.
	keptValues = 8192
	// keptBytes is how large each of its other parts may stay.
	keptBytes = 256 << 10
)

// Source tells what holds in a namespace.
type Source interface {
	// Lookup returns what is known of the namespace, and its policies. An error is an internal fault: the request is answered
	// as by a webhook that cannot be reached, so that failurePolicy decides.
	Lookup(ctx context.Context, namespace string) (inject.Namespace, *inject.Policies, error)
}

// Handler answers admission reviews of pods. It is a plain http.Handler and not controller-runtime's admission.Webhook,
// which turns a panic into `allowed: false` and so rejects pods even under failurePolicy Ignore.
type Handler struct {
	// Entry is the webhook entry that the handler serves.
	Entry inject.Entry
	// Source tells what holds in a pod's namespace.
	Source Source
	// Metrics counts and times requests.
	Metrics *Metrics
	// Log gets one line a decision.
	Log *slog.Logger
	// NodeIPv6 says that the nodes' addresses are IPv6.
	NodeIPv6 bool
	// Version is this program's version.
	Version string

	// decide is inject.Decide; tests replace it to fail on purpose.
	decide func(inject.Input) *inject.Plan
}

var contentType = []string{"application/json"}

// buffers pools what a request is read into and indexed by.
var buffers = sync.Pool{New: func() any { return &buffer{} }}

type buffer struct {
	body          []byte
	answer, patch []byte
	doc           rawjson.Document
}

func (b *buffer) release() {
	b.doc.Reset(keptValues)
	for _, memory := range []*[]byte{&b.body, &b.answer, &b.patch} {
		if cap(*memory) > keptBytes {
			*memory = nil
		}
	}
	buffers.Put(b)
}

// httpError is an answer other than 200. The API server counts it as a failed call, and shows the message where the body is
// a Status.
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
	// Not supported by a recorder in a test, and nothing to do about it elsewhere.
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(started.Add(bodyTimeout))
	_ = deadlines.SetWriteDeadline(started.Add(answerTimeout))
	b := buffers.Get().(*buffer)
	defer b.release()
	weight := weightFor(req)
	// Held until the answer is written: who does not read it must not make room for more.
	defer weight.release()
	answer, err := h.serve(req, b, weight, &outcome)
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
	header := w.Header()
	header["Content-Type"] = contentType
	header["Content-Length"] = []string{strconv.Itoa(len(answer))}
	_, _ = w.Write(answer)
	outcome.log(h, time.Since(started))
}

// outcome is what a request came to, for the log and the metrics.
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
	attrs := []slog.Attr{
		slog.String("decision", string(o.decision)), slog.String("reason", string(o.reason)),
		slog.String("namespace", o.request.namespace), slog.String("pod", o.name[:min(len(o.name), 253)]), slog.String("uid", o.request.uid),
		slog.String("entry", string(h.Entry)), slog.Bool("dryRun", o.request.dryRun),
		slog.Int("operations", len(o.plan.Operations)), slog.Float64("tookMs", float64(took.Microseconds())/1000),
	}
	if o.plan.System != inject.SystemNone {
		attrs = append(attrs, slog.String("system", string(o.plan.System)))
	}
	if o.plan.Detail != "" {
		attrs = append(attrs, slog.String("detail", o.plan.Detail))
	}
	h.Log.LogAttrs(context.Background(), level, "decided", attrs...)
}

func (h *Handler) serve(req *http.Request, b *buffer, weight *weight, o *outcome) ([]byte, error) {
	if err := checkHeaders(req); err != nil {
		return nil, err
	}
	text, err := b.read(req, weight)
	if err != nil {
		return nil, err
	}
	review, err := b.doc.Parse(text)
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "%v", err)
	}
	r, err := readRequest(review)
	if err != nil {
		return nil, badRequest(http.StatusBadRequest, "%v", err)
	}
	o.request, o.name = *r, r.podName()
	// The server cancels the contexts of running requests when it stops. A request that is half answered is still answered.
	plan, err := h.plan(context.WithoutCancel(req.Context()), r)
	if err != nil {
		return nil, err
	}
	if plan.Decision == inject.DecisionError {
		return nil, badRequest(http.StatusBadRequest, "request.object: %s", plan.Detail)
	}
	answer, err := respond(r, plan, b)
	if err == nil {
		o.plan, o.decision, o.reason = plan, plan.Decision, plan.Reason
	}
	return answer, err
}

func (h *Handler) plan(ctx context.Context, r *request) (*inject.Plan, error) {
	if r.operation != string(admissionv1.Create) {
		// Only creations are ours. A webhook registered for more must not stop anybody's updates.
		return &inject.Plan{Decision: inject.DecisionSkipped, Reason: inject.ReasonNotRequested, Detail: "the operation is not CREATE"}, nil
	}
	ns, policies, err := h.Source.Lookup(ctx, r.namespace)
	if err != nil {
		return nil, err
	}
	decide := h.decide
	if decide == nil {
		decide = inject.Decide
	}
	return decide(inject.Input{
		Pod: r.pod, Namespace: ns, Entry: h.Entry, Policies: policies, NodeIPv6: h.NodeIPv6, Version: h.Version,
	}), nil
}

func checkHeaders(req *http.Request) error {
	if req.Method != http.MethodPost {
		return badRequest(http.StatusMethodNotAllowed, "want a POST of an AdmissionReview, got %.20q", req.Method)
	}
	if t, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return badRequest(http.StatusUnsupportedMediaType, "want the content type application/json, got %.60q", req.Header.Get("Content-Type"))
	}
	if req.ContentLength > MaxRequestBytes {
		return tooLarge()
	}
	return nil
}

func tooLarge() error {
	return badRequest(http.StatusRequestEntityTooLarge, "the request has more than the %d bytes accepted", MaxRequestBytes)
}

// chunk is how much of a body is read before it is weighed.
const chunk = 16 << 10

// read returns the body. The text is a copy of its own: values of the document point into it for as long as they are used,
// while the buffer is read into again.
func (b *buffer) read(req *http.Request, weight *weight) (string, error) {
	b.body = b.body[:0]
	for {
		if cap(b.body)-len(b.body) < chunk {
			b.body = slices.Grow(b.body, max(chunk, len(b.body)))
		}
		n, err := req.Body.Read(b.body[len(b.body):min(cap(b.body), len(b.body)+chunk)])
		b.body = b.body[:len(b.body)+n]
		if len(b.body) > MaxRequestBytes {
			return "", tooLarge()
		}
		if !weight.take(n) {
			return "", &httpError{http.StatusServiceUnavailable, inject.ReasonInternalError, "too many requests at one time: try again"}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", badRequest(http.StatusBadRequest, "reading the request: %v", err)
		}
	}
	return string(b.body), nil
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
