package main

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// given is which engines the pods of a phase were given, in the order in which they were created. It is protected by its phase.
type given struct {
	engines []engineRelease
	last    map[engineRelease]time.Time
	// mixed are pods that are not of one engine.
	mixed []error
}

func (g *given) note(pod *corev1.Pod) {
	e, err := engineOf(pod)
	if err != nil {
		g.mixed = append(g.mixed, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err))
	}
	g.engines = append(g.engines, e)
	if g.last == nil {
		g.last = map[engineRelease]time.Time{}
	}
	g.last[e] = time.Now()
}

// injected returns how many pods were injected so far.
func (r *phaseRun) injected() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.given.engines)
}

// lastGiven returns when a pod was last given an engine.
func (r *phaseRun) lastGiven(e engineRelease) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.given.last[e]
}

// givenOnly is an error where a pod was given another engine, of those that were injected after so many.
func (r *phaseRun) givenOnly(since int, wanted engineRelease) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range r.given.engines[since:] {
		if e != wanted {
			return fmt.Errorf("pod %d of %d was given the engine %q, not %s", since+i+1, len(r.given.engines), e.version, wanted.version)
		}
	}
	return nil
}

// allGiven says how many pods were given each engine.
func (r *phaseRun) allGiven() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := map[engineRelease]int{}
	for _, e := range r.given.engines {
		count[e]++
	}
	return fmt.Sprintf("%d jobs were given %s, %d were given %s", count[oldEngine], oldEngine.version, count[newEngine], newEngine.version)
}
