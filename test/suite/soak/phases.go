package main

import (
	"context"
	"fmt"
	"time"
)

// phase is a stretch of the soak in which one thing is done to the webhook.
type phase struct {
	name string
	act  func(context.Context, *phaseRun) error
	// spared are the entries on which no pod may be missed, or refused.
	unmissed, unrefused []entry
	// spare is how many of a thousand pods may be missed on entries whose failurePolicy is Ignore, and one at least.
	spare int
}

// phases are what is done, in order.
func (s *soak) phases() []phase {
	kept := func(name string, act func(context.Context, *phaseRun) error) phase {
		return phase{name: name, act: act, unmissed: entries, unrefused: entries}
	}
	// Who meets a replica that was killed is refused under Fail, and creates the pod again; under Ignore it is admitted as it
	// is, which is what Ignore means.
	hurt := func(name string, act func(context.Context, *phaseRun) error) phase {
		return phase{name: name, act: act, unmissed: []entry{byLabel}, unrefused: []entry{optionally}}
	}
	// Nobody tries a call again that is lost with its connection, where failures are ignored: that was seen once, of a pod
	// that was created while a replica ended. Behind the other entry the creator tries again, and no pod is missed.
	replaced := func(name string, act func(context.Context, *phaseRun) error) phase {
		return phase{name: name, act: act, unmissed: entries, unrefused: entries, spare: 1}
	}
	return []phase{
		kept("steady", func(ctx context.Context, _ *phaseRun) error { return pause(ctx, s.settings.calm) }),
		replaced("rolling restart", s.roll),
		hurt("SIGKILL of a replica", s.killReplica),
		hurt("freeze of a replica", s.freezeReplica),
		kept("certificate renewals", s.renewCertificates),
		kept("policy edits", s.editPolicies),
		kept("hostile tenant", s.hostileTenant),
		replaced("upgrade and roll-back", s.upgradeAndRollBack),
		kept("engine never ready", s.engineNeverReady),
		kept("engine upgrade", s.upgradeEngine),
		kept("steady again", func(ctx context.Context, _ *phaseRun) error { return pause(ctx, s.settings.calm) }),
	}
}

// runPhase runs one phase and waits until all replicas are ready after it.
func (s *soak) runPhase(ctx context.Context, p phase) error {
	run := newPhaseRun(p)
	s.runs = append(s.runs, run)
	s.current.Store(run)
	if err := p.act(ctx, run); err != nil {
		return err
	}
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	run.ended = time.Now()
	took := run.ended.Sub(run.began).Round(time.Second)
	fmt.Printf("%-22s %s\n", p.name, took)
	return nil
}

// memoryLimit is what the chart lets a replica have.
const memoryLimit = 128 << 20

// problems says which objectives a phase missed.
func (r *phaseRun) problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var problems []string
	for _, e := range r.unmissed {
		spared := 0
		if r.spare > 0 && e != byLabel {
			spared = max(1, len(r.tally[e].latencies)*r.spare/1000)
		}
		if n := r.tally[e].missed; n > spared {
			problems = append(problems, fmt.Sprintf("%s: %d pods of the entry %s were not injected", r.name, n, e))
		}
	}
	for _, e := range r.unrefused {
		if n := r.tally[e].refused; n > 0 {
			problems = append(problems, fmt.Sprintf("%s: %d pods of the entry %s were refused, the last with: %s", r.name, n, e, r.tally[e].refusal))
		}
	}
	if n := len(r.given.mixed); n > 0 {
		problems = append(problems, fmt.Sprintf("%s: %d pods are not of one engine, the last: %s", r.name, n, r.given.mixed[n-1]))
	}
	if r.peak > memoryLimit {
		problems = append(problems, fmt.Sprintf("%s: a replica had %d MiB of memory, more than the chart's limit of %d", r.name, r.peak>>20,
			memoryLimit>>20))
	}
	for _, e := range entries {
		if len(r.tally[e].latencies) == 0 {
			problems = append(problems, fmt.Sprintf("%s: no pod of the entry %s was created", r.name, e))
		}
	}
	return problems
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
