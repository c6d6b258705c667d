package main

import (
	"math"
	"slices"
	"time"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// The limits. Those for small clusters are for up to 1,000 namespaces, the others for up to 10,000.
const (
	small           = 1000
	mostMemorySmall = 64 << 20 // bytes, resident
	mostMemory      = 96 << 20
	mostStartSmall  = 2 * time.Second
	mostStart       = 5 * time.Second
	mostEffect      = time.Second
)

// effectOf summarizes the times that changes took to be seen.
func effectOf(of string, times []time.Duration) figures.Effect {
	sorted := slices.Sorted(slices.Values(times))
	quantile := func(share float64) time.Duration { return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)] }
	return figures.Effect{Of: of, Changes: len(times), P50: quantile(.5), P99: quantile(.99), Slowest: quantile(1)}
}

// isSmall reports whether the stricter limits hold.
func (s size) isSmall() bool { return s.namespaces <= small && s.engines == 0 }

// reportOf compares what was measured with the limits.
func reportOf(of size, rep *figures.Policies) *figures.Report {
	area, most, start := figures.PartPoliciesMany, int64(mostMemory), mostStart
	if of.isSmall() {
		area, most, start = figures.PartPolicies, mostMemorySmall, mostStartSmall
	}
	add := func(what string, figure, limit float64, unit string) {
		rep.Verdicts = append(rep.Verdicts, figures.AtMost(area, rep.Size()+": "+what, figure, limit, unit))
	}
	add("from start to ready", rep.Ready.Seconds(), start.Seconds(), "s")
	if rep.Engines > 0 {
		add("from start until all engines are known", rep.EnginesKnown.Seconds(), start.Seconds(), "s")
	}
	add("resident memory at its highest", figures.Mebibytes(rep.Peak()), figures.Mebibytes(most), "MiB")
	for _, e := range rep.Effects {
		add("slowest effect of "+e.Of, figures.Milliseconds(e.Slowest), figures.Milliseconds(mostEffect), "ms")
	}
	// A collection during the benchmark counts as a part of an allocation.
	add("allocations of a lookup", math.Round(rep.LookupAllocations), 0, "")
	if of.isSmall() {
		return &figures.Report{Policies: rep}
	}
	return &figures.Report{PoliciesMany: rep}
}
