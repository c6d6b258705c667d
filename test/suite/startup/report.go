package main

import (
	"time"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// container is a container of a pod, and its times.
type container struct {
	name string
	times
}

// sample is what was seen of one pod.
type sample struct {
	created    time.Time
	sandbox    times
	containers []container // in the order in which they started
}

// started is the time from the pod's creation until its job container ran.
func (s sample) started() time.Duration {
	return s.containers[len(s.containers)-1].started.Sub(s.created)
}

// step is a part of a start, and how long it took.
type step struct {
	name string
	took time.Duration
}

// steps returns what follows each other without a gap from the pod's creation until its job container runs.
func (s sample) steps() []step {
	before, after := s.created, "pod created"
	var steps []step
	add := func(name string, until time.Time) {
		steps = append(steps, step{name, until.Sub(before)})
		before = until
	}
	if !s.sandbox.started.IsZero() {
		add("pod created -> sandbox runs", s.sandbox.started)
		after = "sandbox runs"
	}
	for i, c := range s.containers {
		add(after+" -> "+c.name+" created", c.created)
		add(c.name+" created -> started", c.started)
		if i < len(s.containers)-1 {
			add(c.name+" started -> ended", c.ended)
			after = c.name + " ended"
		}
	}
	return steps
}

// limits are how much later than in a pod that is not injected the job's container may start, by variant.
var limits = map[string]time.Duration{
	"injected":                         500 * time.Millisecond,
	"image volume":                     250 * time.Millisecond,
	"image volume, waits at first use": 250 * time.Millisecond,
	"image volume, no wait":            250 * time.Millisecond,
}

// judge compares what was measured with the limits, as far as it was measured.
func judge(s *figures.Startup) {
	for _, v := range s.Variants {
		if limit, has := limits[v.Name]; has && v.More != nil {
			s.Verdicts = append(s.Verdicts, figures.AtMost(figures.PartStartup, "later than "+baseline+": "+v.Name, v.More.Seconds(),
				limit.Seconds(), "s"))
		}
	}
}

// resultsOf summarizes the pods of each variant.
func resultsOf(variants []variant, samples map[string][]sample) []figures.StartupVariant {
	var results []figures.StartupVariant
	for _, v := range variants {
		r := figures.StartupVariant{Name: v.name, Pods: len(samples[v.name])}
		var names []string
		byName := map[string][]time.Duration{}
		for _, s := range samples[v.name] {
			r.All = append(r.All, s.started())
			for _, step := range s.steps() {
				if byName[step.name] == nil {
					names = append(names, step.name)
				}
				byName[step.name] = append(byName[step.name], step.took)
			}
		}
		r.Started = figures.TimesOf(r.All)
		for _, name := range names {
			r.Steps = append(r.Steps, figures.StartupStep{Name: name, Times: figures.TimesOf(byName[name])})
		}
		results = append(results, r)
	}
	return results
}
