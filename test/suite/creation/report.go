package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// mostOfPolicy is the limit of the time per creation, in creations with a MutatingAdmissionPolicy that makes the same change.
const mostOfPolicy = 1.0

func rowOf(variant string, clients int, bursts []burst) figures.CreationRow {
	r := figures.CreationRow{Variant: variant, Title: titles[variant], Clients: clients}
	var latencies, each, cpu []time.Duration
	for _, b := range bursts {
		latencies = append(latencies, b.latencies...)
		each, cpu = append(each, b.each), append(cpu, b.cpu)
		r.Calls += b.calls / float64(len(bursts))
	}
	r.Pods, r.Latency, r.Each, r.CPU = len(latencies), median(latencies), median(each), median(cpu)
	return r
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// judge compares what was measured with the limit.
func judge(c *figures.Creation) {
	for _, clients := range c.Clients() {
		if of := c.OfPolicy(clients); of > 0 {
			c.Verdicts = append(c.Verdicts, figures.AtMost(figures.PartCreation,
				fmt.Sprintf("time per creation, %s", plural(clients)), of, mostOfPolicy, "of the policy's"))
		}
	}
}

func plural(clients int) string {
	if clients == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", clients)
}
