package main

import (
	"fmt"
	"testing"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// decider decides on one pod again and again, without the server: parsing its JSON and making the patch.
type decider struct {
	pod      string
	policies *inject.Policies
	doc      rawjson.Document
}

func newDecider(r *review) (*decider, error) {
	var doc rawjson.Document
	root, err := doc.Parse(string(r.body))
	if err != nil {
		return nil, err
	}
	return &decider{pod: root.Get("request").Get("object").Text(), policies: builtInPolicies()}, nil
}

func (d *decider) decide() error {
	pod, err := d.doc.Parse(d.pod)
	if err != nil {
		return err
	}
	plan := inject.Decide(inject.Input{
		Pod: pod, Namespace: inject.Namespace{Name: "ci", Labels: namespaceLabels}, Policies: d.policies, Version: version,
	})
	if plan.Reason != inject.ReasonInjected {
		return fmt.Errorf("the pod is not injected: %s", plan.Message())
	}
	return nil
}

// measureDecision measures a decision on a review's pod. The time is the least of a few tries, which is what it takes where nothing else
// disturbs it.
func measureDecision(r *review) (figures.Decision, error) {
	cost := figures.Decision{Review: r.name}
	d, err := newDecider(r)
	if err != nil {
		return cost, err
	}
	if err := d.decide(); err != nil {
		return cost, err
	}
	for range 3 {
		b := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = d.decide()
			}
		})
		if nanos := float64(b.T.Nanoseconds()) / float64(b.N); cost.Nanos == 0 || nanos < cost.Nanos {
			cost.Nanos, cost.Allocations = nanos, b.AllocsPerOp()
		}
	}
	return cost, nil
}
