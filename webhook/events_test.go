package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

// emitter is one with a clock of its own and a client in memory.
func emitter(t *testing.T, calls interceptor.Funcs) (e *EventEmitter, logs *program.Log, clock *time.Time) {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	logs = &program.Log{}
	e = NewEventEmitter(fake.NewClientBuilder().WithInterceptorFuncs(calls).Build(), "replica", NewMetrics(prometheus.NewRegistry()),
		slog.New(slog.NewTextHandler(logs, nil)))
	e.now = func() time.Time { return at }
	return e, logs, &at
}

// drain sends what is queued.
func (e *EventEmitter) drain(ctx context.Context) {
	for len(e.queue) > 0 {
		o := <-e.queue
		e.send(ctx, &o)
	}
}

func (e *EventEmitter) counted(result string) int {
	return int(testutil.ToFloat64(e.metrics.events.WithLabelValues(result)))
}

func listed(t *testing.T, e *EventEmitter) []eventsv1.Event {
	t.Helper()
	var list eventsv1.EventList
	require.NoError(t, e.client.List(t.Context(), &list))
	return list.Items
}

// asks is a request of a pod of an owner; without one, the pod has none.
func asks(t *testing.T, owner string) *request {
	t.Helper()
	pod := `{"metadata":{}}`
	if owner != "" {
		pod = `{"metadata":{"ownerReferences":[{"kind":"Other","name":"other"},
			{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"` + owner + `","uid":"uid-` + owner + `","controller":true}]}}`
	}
	root, err := new(rawjson.Document).Parse(pod)
	require.NoError(t, err)
	return &request{namespace: "ci", pod: root}
}

func refused(detail string) *inject.Plan {
	return &inject.Plan{Decision: inject.DecisionRefused, Reason: inject.ReasonNoEngine, Detail: detail}
}

func TestAnEventIsToldOnceAndThenCounted(t *testing.T) {
	e, _, clock := emitter(t, interceptor.Funcs{})
	tell := func(plan *inject.Plan) {
		e.tell(asks(t, "web"), plan)
		e.drain(t.Context())
	}
	tell(refused("a"))
	events := listed(t, e)
	require.Len(t, events, 1)
	got := events[0]
	require.Equal(t, "no_engine", got.Reason, "the word that every output has")
	require.Equal(t, "ReplicaSet web uid-web ci",
		fmt.Sprint(got.Regarding.Kind, " ", got.Regarding.Name, " ", got.Regarding.UID, " ", got.Regarding.Namespace))
	require.Contains(t, got.Note, "refused: There is no engine that the pod can reach (a).")
	require.Equal(t, []string{"ci", "Warning", "replica"}, []string{got.Namespace, got.Type, got.ReportingInstance})

	for range 3 {
		tell(refused("a"))
	}
	require.Nil(t, listed(t, e)[0].Series, "only counted")
	*clock = clock.Add(eventRepeat)
	tell(refused("a"))
	require.Equal(t, int32(5), listed(t, e)[0].Series.Count)

	tell(refused("b"))
	require.Len(t, listed(t, e), 2, "other words are another event")
	tell(&inject.Plan{Decision: inject.DecisionAdmitted, Reason: inject.ReasonNoEngine})
	require.Len(t, listed(t, e), 3)
	require.Equal(t, []int{4, 3}, []int{e.counted(eventSent), e.counted(eventRepeated)})

	// The API server forgets events after an hour.
	for _, event := range listed(t, e) {
		require.NoError(t, e.client.Delete(t.Context(), &event))
	}
	*clock = clock.Add(time.Hour)
	tell(refused("a"))
	require.Len(t, listed(t, e), 1)
}

func TestAnotherReplicasEventIsCounted(t *testing.T) {
	first, _, _ := emitter(t, interceptor.Funcs{})
	second, _, _ := emitter(t, interceptor.Funcs{})
	second.client = first.client
	for _, e := range []*EventEmitter{first, second} {
		e.tell(asks(t, "web"), refused(""))
		e.drain(t.Context())
	}
	events := listed(t, first)
	require.Len(t, events, 1)
	require.Equal(t, int32(2), events[0].Series.Count)
}

func TestWhatIsToldAndToWhom(t *testing.T) {
	e, _, _ := emitter(t, interceptor.Funcs{})
	dry := asks(t, "web")
	dry.dryRun = true
	e.tell(dry, refused(""))
	for _, reason := range inject.Reasons() {
		if reason.Class() != inject.ClassCannot {
			e.tell(asks(t, "web"), &inject.Plan{Decision: inject.DecisionSkipped, Reason: reason})
		}
	}
	require.Empty(t, e.queue, "nothing is told of a dry run, nor of what is nobody's failure")
	var nobody *EventEmitter
	nobody.tell(asks(t, "web"), refused(""))

	e.tell(asks(t, ""), refused(""))
	e.drain(t.Context())
	events := listed(t, e)
	require.Len(t, events, 1)
	require.Equal(t, "Namespace ci/ci", events[0].Regarding.Kind+" "+events[0].Regarding.Namespace+"/"+events[0].Regarding.Name)
}

// TestEventsAreBounded floods the emitter with owners that are all different.
func TestEventsAreBounded(t *testing.T) {
	created := 0
	e, _, clock := emitter(t, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
		created++
		return nil
	}})
	began := time.Now()
	for i := range 10 * eventQueue {
		e.tell(asks(t, fmt.Sprint("o", i)), refused(strings.Repeat("é", 2000)))
	}
	require.Less(t, time.Since(began), 30*time.Second, "nothing waits")
	require.Len(t, e.queue, eventQueue)
	require.Equal(t, 9*eventQueue, e.counted(eventDropped))
	for range len(e.queue) {
		one := <-e.queue
		require.LessOrEqual(t, len(one.note), maxNote)
		require.Equal(t, one.note, strings.ToValidUTF8(one.note, "?"))
		e.send(t.Context(), &one)
	}
	require.Equal(t, eventBurst, created)
	for i := range 4 * eventsKept {
		*clock = clock.Add(time.Second)
		o := occurrence{reason: inject.ReasonNoEngine, note: fmt.Sprint(i)}
		e.send(t.Context(), &o)
	}
	require.LessOrEqual(t, e.sent.Len(), eventsKept)
}

func TestEventsThatCannotBeWrittenAreLoggedOnce(t *testing.T) {
	e, logs, clock := emitter(t, interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object,
		...client.CreateOption) error {
		return errors.New("forbidden here")
	}})
	for i := range 5 {
		*clock = clock.Add(time.Minute)
		e.tell(asks(t, fmt.Sprint(i)), refused(""))
		e.drain(t.Context())
	}
	require.Equal(t, 5, e.counted(eventFailed))
	require.Equal(t, 1, strings.Count(logs.String(), "events cannot be written"))
}

// TestDryRunsTellNobody holds what the configuration says of side effects: none on a dry run, as the API server tells of it.
func TestDryRunsTellNobody(t *testing.T) {
	e, _, _ := emitter(t, interceptor.Funcs{})
	f := newFixture(t)
	f.Source = Static{Policies: inject.NewPolicies(config.FromFile("p", []byte("x: 1"), config.OriginCluster), nil, nil)}
	f.Events = e
	for dryRun, told := range map[string]int{"true": 0, "false": 1} {
		e.drain(t.Context())
		review := strings.Replace(reviewOf(asking), `"operation"`, `"dryRun":`+dryRun+`,"operation"`, 1)
		require.False(t, response(t, f.post(review)).Allowed)
		require.Len(t, e.queue, told, "dryRun: "+dryRun)
	}
}

// TestNothingWaitsForEvents answers reviews while nobody sends what is queued.
func TestNothingWaitsForEvents(t *testing.T) {
	e, _, _ := emitter(t, interceptor.Funcs{})
	f := newFixture(t)
	f.Source = Static{Policies: inject.NewPolicies(config.FromFile("p", []byte("x: 1"), config.OriginCluster), nil, nil)}
	f.Events = e
	for range eventQueue + 10 {
		require.False(t, response(t, f.post(reviewOf(asking))).Allowed)
	}
	require.Len(t, e.queue, eventQueue)
	require.Equal(t, 10, e.counted(eventDropped))
}
