package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

// client-go's event broadcaster starts a goroutine for every event, keeps an entry for minutes for every object that has
// events, and sends without a limit. Any pod in the cluster can post to the webhook's Service, so the memory and the calls that
// it can cause must be bounded. Hence this emitter.
const (
	// eventQueue is how many events can wait. The emitter drops more.
	eventQueue = 256
	// eventRate is how many are sent a second, and eventBurst how many at once after a pause.
	eventRate  = 2
	eventBurst = 20
	// eventsKept is how many sent events are remembered, so that repetitions are counted instead of sent again.
	eventsKept = 1024
	// eventRepeat is how long repetitions are only counted before the count is sent.
	eventRepeat = 5 * time.Minute
	// eventTimeout bounds a call.
	eventTimeout = 5 * time.Second
	// maxNote is what the API server accepts (k8s.io/kubernetes, core/validation, NoteLengthLimit).
	maxNote = 1024

	// eventController and eventAction are the reporter and the action in events.
	eventController = "inject.dagger.io/webhook"
	eventAction     = "Inject"
)

// EventEmitter writes events about pods that asked for an engine and cannot be injected, on the pod's controller or its
// namespace, where people look. Requests do not wait for it: it drops and counts what does not fit.
type EventEmitter struct {
	client   client.Client
	instance string
	metrics  *Metrics
	log      *slog.Logger
	limit    *rate.Limiter
	now      func() time.Time

	queue  chan occurrence
	sent   *lru.Cache // of *series by event key; used by the sending goroutine only
	failed bool       // the last call failed, and was logged
}

// occurrence is a decision that deserves an event.
type occurrence struct {
	regarding corev1.ObjectReference
	decision  inject.Decision
	reason    inject.Reason
	note      string
}

// series is an event that was sent, and how often it happened.
type series struct {
	name  string
	count int32
	told  time.Time
}

// NewEventEmitter returns an emitter that sends with a client once it is started. The instance names this replica.
func NewEventEmitter(c client.Client, instance string, m *Metrics, log *slog.Logger) *EventEmitter {
	return &EventEmitter{
		client: c, instance: instance, metrics: m, log: log, limit: rate.NewLimiter(eventRate, eventBurst), now: time.Now,
		queue: make(chan occurrence, eventQueue), sent: lru.New(eventsKept),
	}
}

// tell queues an event about a decision that deserves one. It does nothing on a nil emitter.
func (e *EventEmitter) tell(r *request, plan *inject.Plan) {
	if e == nil || r.dryRun || plan.Reason.Class() != inject.ClassCannot {
		return
	}
	note := "refused: "
	if plan.Decision == inject.DecisionAdmitted {
		note = "admitted without an engine: "
	}
	// The message and the pod point into the request's text, which must not live as long as the event: copy them.
	o := occurrence{regarding(r), plan.Decision, plan.Reason, strings.Clone(truncate.Text(terminal.Escape(note+plan.Message()), maxNote))}
	select {
	case e.queue <- o:
	default:
		e.metrics.events.WithLabelValues(eventDropped).Inc()
	}
}

// regarding returns the object that the event is about: the pod's controlling owner, or the namespace if it has none. A
// refused pod does not exist, and an admitted one is soon gone.
func regarding(r *request) corev1.ObjectReference {
	namespace := strings.Clone(r.namespace)
	for _, owner := range r.pod.Get("metadata").Get("ownerReferences").Elements() {
		if is, _ := owner.Get("controller").Bool(); !is {
			continue
		}
		str := func(v rawjson.Value) string { s, _ := v.Str(); return strings.Clone(truncate.Text(s, 253)) }
		return corev1.ObjectReference{
			APIVersion: str(owner.Get("apiVersion")), Kind: str(owner.Get("kind")), Namespace: namespace,
			Name: str(owner.Get("name")), UID: types.UID(str(owner.Get("uid"))),
		}
	}
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: namespace, Name: namespace}
}

// NeedLeaderElection says that every replica writes events about its own decisions.
func (*EventEmitter) NeedLeaderElection() bool { return false }

// Start sends queued events, one after the other, until ctx ends.
func (e *EventEmitter) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case o := <-e.queue:
			e.send(ctx, &o)
		}
	}
}

// send creates an event, or counts it as a repetition of one.
func (e *EventEmitter) send(ctx context.Context, o *occurrence) {
	key := o.key()
	now := e.now()
	var known *series
	if have, ok := e.sent.Get(key); ok {
		known = have.(*series)
		if known.count++; now.Sub(known.told) < eventRepeat {
			e.metrics.events.WithLabelValues(eventRepeated).Inc()
			return
		}
	}
	if !e.limit.AllowN(now, 1) {
		e.metrics.events.WithLabelValues(eventDropped).Inc()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	event := o.event(key, e.instance, now)
	if known == nil {
		known = &series{name: event.Name, count: 1}
		e.sent.Add(key, known)
	} else if err := e.count(ctx, event, known, now); !apierrors.IsNotFound(err) {
		e.done(known, now, err)
		return
	}
	err := e.client.Create(ctx, event)
	if apierrors.IsAlreadyExists(err) {
		// Another replica, or this one before a restart, has already sent it.
		known.count = max(known.count, 2)
		err = e.count(ctx, o.event(key, e.instance, now), known, now)
	}
	e.done(known, now, err)
}

// count updates how often an event happened.
func (e *EventEmitter) count(ctx context.Context, event *eventsv1.Event, known *series, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"series": eventsv1.EventSeries{Count: known.count, LastObservedTime: metav1.NewMicroTime(now)}})
	if err != nil {
		return err
	}
	return e.client.Patch(ctx, event, client.RawPatch(types.MergePatchType, patch))
}

func (e *EventEmitter) done(known *series, now time.Time, err error) {
	// Set after a failure too, so that a lasting failure is not retried with every pod.
	known.told = now
	if err == nil {
		e.failed = false
		e.metrics.events.WithLabelValues(eventSent).Inc()
		return
	}
	e.metrics.events.WithLabelValues(eventFailed).Inc()
	if !e.failed {
		e.failed = true
		e.log.Warn("events cannot be written", "error", err)
	}
}

// key identifies equal events, by object, reason and note. It is the same in every replica.
func (o *occurrence) key() string {
	h := sha256.New()
	for _, part := range []string{
		string(o.regarding.UID), o.regarding.Kind, o.regarding.Namespace, o.regarding.Name, string(o.reason), o.note,
	} {
		_, _ = h.Write([]byte(part + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// event returns the Event. Its reason is the decision's Reason.
func (o *occurrence) event(key, instance string, now time.Time) *eventsv1.Event {
	name := strings.TrimRight(o.regarding.Name[:min(len(o.regarding.Name), 200)], ".-")
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: o.regarding.Namespace, Name: name + "." + key},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: eventController,
		ReportingInstance:   instance,
		Action:              eventAction,
		Reason:              string(o.reason),
		Regarding:           o.regarding,
		Note:                o.note,
		Type:                corev1.EventTypeWarning,
	}
}
