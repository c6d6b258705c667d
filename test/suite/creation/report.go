package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one variant with so many clients. The figures are medians of the rounds.
type row struct {
	Variant string `json:"variant"`
	Clients int    `json:"clients"`
	Pods    int    `json:"pods"`
	// Latency is the median of a creation's, and Each the time per creation, with all clients.
	Latency time.Duration `json:"latencyNanos"`
	Each    time.Duration `json:"eachNanos"`
	// CPU is the API server's time per creation, on all cores.
	CPU time.Duration `json:"cpuNanos"`
	// Calls is how often the API server called a webhook, per creation.
	Calls float64 `json:"calls"`
}

func rowOf(variant string, clients int, bursts []burst) row {
	r := row{Variant: variant, Clients: clients}
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

func find(rows []row, variant string, clients int) row {
	for _, r := range rows {
		if r.Variant == variant && r.Clients == clients {
			return r
		}
	}
	return row{}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

// missed reports whether a creation with ours takes longer than with the policy: of one client by its latency, of several by the time
// per creation.
func missed(rows []row) bool {
	for _, ours := range rows {
		policy := find(rows, variantPolicy, ours.Clients)
		if ours.Variant == variantOurs && policy.Each > 0 && ratio(ours.Each, policy.Each) > 1 {
			return true
		}
	}
	return false
}

// printRows writes the report as a table, of Markdown.
func printRows(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	line("| clients\t| creation\t| pods\t| calls\t| median latency\t| time per creation\t| of none\t| of the policy\t" +
		"| CPU of the API server\t| of the policy\t|")
	line("|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range rows {
		none, policy := find(rows, variantNone, r.Clients), find(rows, variantPolicy, r.Clients)
		line("| %d\t| %s\t| %d\t| %.1f\t| %s\t| %s\t| %.2f\t| %.2f\t| %s\t| %.2f\t|",
			r.Clients, titles[r.Variant], r.Pods, r.Calls, millis(r.Latency), millis(r.Each),
			ratio(r.Each, none.Each), ratio(r.Each, policy.Each), millis(r.CPU), ratio(r.CPU, policy.CPU))
	}
	return w.Flush()
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
