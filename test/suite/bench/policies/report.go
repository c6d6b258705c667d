package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// The targets. Those for small clusters are for up to 1,000 namespaces, the others for up to 10,000.
const (
	small           = 1000
	mostMemorySmall = 64 << 20 // bytes, resident
	mostMemory      = 96 << 20
	mostStartSmall  = 2 * time.Second
	mostStart       = 5 * time.Second
	mostEffect      = time.Second
)

// report is everything that was measured.
type report struct {
	size
	ready time.Duration
	// enginesKnown is how long after its start the webhook knew all engines.
	enginesKnown time.Duration
	memory       []reading
	effects      []effects
	nanos        float64
	allocs       float64
	verdicts     []verdict
}

// reading is the webhook's memory at one time.
type reading struct {
	when string
	usage
}

// effects are the times that changes took to be seen.
type effects struct {
	of    string
	times []time.Duration
}

func (e *effects) quantile(share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(e.times))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// verdict is one target and whether it was met.
type verdict struct {
	target       string
	value, limit string
	ok           bool
}

// judge compares what was measured with the targets.
func (rep *report) judge() {
	add := func(target string, ok bool, value, limit string) {
		rep.verdicts = append(rep.verdicts, verdict{target, value, limit, ok})
	}
	most, start := int64(mostMemory), mostStart
	if rep.namespaces <= small && rep.engines == 0 {
		most, start = mostMemorySmall, mostStartSmall
	}
	add("from start to ready", rep.ready < start, milliseconds(rep.ready), "below "+milliseconds(start))
	if rep.engines > 0 {
		add("from start until all engines are known", rep.enginesKnown < start, milliseconds(rep.enginesKnown), "below "+milliseconds(start))
	}
	for _, r := range rep.memory {
		add("resident memory "+r.when, r.RSS < most, mebibytes(r.RSS), "below "+mebibytes(most))
	}
	if n := len(rep.memory); n > 0 {
		peak := rep.memory[n-1].Peak
		add("resident memory at its highest", peak < most, mebibytes(peak), "below "+mebibytes(most))
	}
	for _, e := range rep.effects {
		slowest := e.quantile(1)
		add("slowest effect of "+e.of, slowest < mostEffect, milliseconds(slowest), "below "+milliseconds(mostEffect))
	}
	add("allocations of a lookup", rep.allocs < 0.001, fmt.Sprintf("%.3f", rep.allocs), "0")
}

func (rep *report) missed() bool {
	return slices.ContainsFunc(rep.verdicts, func(v verdict) bool { return !v.ok })
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// print writes the report as tables.
func (rep *report) print(w io.Writer) error {
	var out bytes.Buffer
	_, _ = fmt.Fprintf(&out, `%d namespaces, each with a policy of its own in a ConfigMap of a real API server; webhook, API server and client
on the same %d CPUs, %s. Ready %.1f s after its start. A lookup takes %.0f ns.

`, rep.namespaces, runtime.NumCPU(), runtime.Version(), rep.ready.Seconds(), rep.nanos)
	if rep.engines > 0 {
		_, _ = fmt.Fprintf(&out, "%d nodes have a ready engine; jobs are placed among them by cache.\n\n", rep.engines)
	}
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "memory of the webhook\tresident\town\tof the program's file\tmost so far\t")
	for _, r := range rep.memory {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t\n", r.when, mebibytes(r.RSS), mebibytes(r.Anonymous), mebibytes(r.File), mebibytes(r.Peak))
	}
	_, _ = fmt.Fprintln(t, "\t\t\t\t\t")
	_, _ = fmt.Fprintln(t, "from apply to effect\tchanges\tp50\tp99\tslowest\t")
	for _, e := range rep.effects {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t\n", e.of, len(e.times),
			milliseconds(e.quantile(.5)), milliseconds(e.quantile(.99)), milliseconds(e.quantile(1)))
	}
	_ = t.Flush()
	_, _ = fmt.Fprintln(&out)
	t = tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, v := range rep.verdicts {
		said := "ok"
		if !v.ok {
			said = "MISSED"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t(%s)\n", said, v.target, v.value, v.limit)
	}
	_ = t.Flush()
	_, err := w.Write(out.Bytes())
	return err
}
