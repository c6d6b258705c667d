package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

func TestFigures(t *testing.T) {
	var all []time.Duration
	for i := range 20 {
		all = append(all, time.Duration(20-i)*time.Second)
	}
	f := figureOf(all)
	require.Equal(t, 10500*time.Millisecond, f.Median)
	require.Equal(t, 19*time.Second, f.P95)
	require.Equal(t, time.Second, figureOf(all[19:]).P95)
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
