package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

func at(milliseconds int) time.Time { return time.UnixMilli(int64(milliseconds)) }

func TestStepsFollowEachOtherWithoutAGap(t *testing.T) {
	s := sample{created: at(0), sandbox: times{created: at(5), started: at(20)}, containers: []container{
		{"dagger-wait", times{at(30), at(70), at(80)}}, {"runner", times{at(500), at(530), at(531)}},
	}}
	require.Equal(t, 530*time.Millisecond, s.started())
	steps := s.steps()
	require.Equal(t, []step{
		{"pod created -> sandbox runs", 20 * time.Millisecond},
		{"sandbox runs -> dagger-wait created", 10 * time.Millisecond},
		{"dagger-wait created -> started", 40 * time.Millisecond},
		{"dagger-wait started -> ended", 10 * time.Millisecond},
		{"dagger-wait ended -> runner created", 420 * time.Millisecond},
		{"runner created -> started", 30 * time.Millisecond},
	}, steps)
	var sum time.Duration
	for _, one := range steps {
		sum += one.took
	}
	require.Equal(t, s.started(), sum)
}

func TestVariantsAreComparedWithWhatIsNotInjected(t *testing.T) {
	started := func(milliseconds ...int) (samples []sample) {
		for _, m := range milliseconds {
			samples = append(samples, sample{created: at(0), containers: []container{{"runner", times{created: at(m - 7), started: at(m)}}}})
		}
		return samples
	}
	all := []variant{{name: baseline}, {name: "injected"}, {name: "image volume"}, {name: "no CLI"}}
	rep := &figures.Startup{Variants: resultsOf(all, map[string][]sample{
		baseline: started(1000, 900, 800), "injected": started(1400, 1300), "image volume": started(1151), "no CLI": started(9000),
	})}
	rep.Compare()
	judge(rep)
	require.Equal(t, 450*time.Millisecond, *rep.Find("injected").More)
	require.Equal(t, 7*time.Millisecond, rep.Find("injected").Steps[1].Median)
	require.Len(t, rep.Verdicts, 2)
	require.True(t, rep.Verdicts[0].OK)
	require.False(t, rep.Verdicts[1].OK)
	require.Contains(t, rep.Verdicts[1].What, "image volume")

	rep = &figures.Startup{Variants: resultsOf(all[1:2], map[string][]sample{"injected": started(1400)})}
	rep.Compare()
	judge(rep)
	require.Empty(t, rep.Verdicts, "there is nothing to compare with")
}

func TestEventsOfContainerdAreRead(t *testing.T) {
	e := &events{containers: map[string]*times{}, sandboxes: map[string]bool{}}
	for _, line := range []string{
		`2026-11-26 10:39:46.9 +0000 UTC k8s.io /containers/create {"id":"s","image":"dagger-inject.test/pause:1"}`,
		`2026-11-26 10:39:46.966574261 +0000 UTC k8s.io /containers/create {"id":"a","image":"i"}`,
		`2026-11-26 10:39:47 +0000 UTC k8s.io /tasks/start {"container_id":"a","pid":1}`,
		`2026-11-26 10:39:47.1 +0000 UTC k8s.io /tasks/exit {"container_id":"a","id":"probe","pid":2}`,
		`2026-11-26 10:39:47.2 +0000 UTC k8s.io /tasks/exit {"container_id":"a","id":"a","pid":1}`,
		`2026-11-26 10:39:47.3 +0000 UTC k8s.io /images/create {"name":"i"}`,
		`2026-11-26 10:39:47.4 +0000 UTC k8s.io /tasks/start {"container_id":"unknown","pid":1}`,
	} {
		require.NoError(t, e.take(line), line)
	}
	got, err := e.of("a")
	require.NoError(t, err)
	require.Equal(t, 33425739*time.Nanosecond, got.started.Sub(got.created))
	require.Equal(t, 200*time.Millisecond, got.ended.Sub(got.started))
	require.False(t, e.sandboxSince(time.Time{}).created.IsZero())
	_, err = e.of("b")
	require.Error(t, err)
	require.Error(t, e.take("containerd: connection refused"))
}
