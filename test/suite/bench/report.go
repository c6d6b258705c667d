package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
)

// The targets.
const (
	mostOfFloorRunner = 2.5      // CPU per request on real runner pods, in floors
	mostOfFloorMixed  = 5.0      // the same on the mixed load
	mostOfTyped       = 0.25     // CPU per request at every size, in typed defaulters
	mostGrowth        = 11.0     // cost of 1,000 variables, in costs of 100
	mostMemoryGrowth  = 10 << 20 // bytes
)

// report is everything that was measured, and what it comes to.
type report struct {
	GoVersion   string    `json:"goVersion"`
	CPUs        int       `json:"cpus"`
	Connections int       `json:"connections"`
	Results     []*result `json:"results"`
	// DecisionFewNanos and DecisionManyNanos are the time of a decision in this process, without the server, on a pod
	// with 100 and with 1,000 variables.
	DecisionFewNanos  float64   `json:"decisionFewNanos"`
	DecisionManyNanos float64   `json:"decisionManyNanos"`
	Memory            *memory   `json:"memory"`
	Verdicts          []verdict `json:"verdicts"`

	reviews []*review
}

// verdict is one target and whether it was met.
type verdict struct {
	Target string  `json:"target"`
	Value  float64 `json:"value"`
	Limit  float64 `json:"limit"`
	OK     bool    `json:"ok"`
}

func newReport(reviews []*review) *report {
	return &report{GoVersion: runtime.Version(), CPUs: runtime.NumCPU(), Connections: connections, reviews: reviews}
}

// judge compares what was measured with the targets.
func (rep *report) judge() {
	add := func(value, limit float64, format string, args ...any) {
		rep.Verdicts = append(rep.Verdicts, verdict{fmt.Sprintf(format, args...), value, limit, value <= limit})
	}
	byName := map[string]*result{}
	for _, r := range rep.Results {
		byName[r.Load] = r
	}
	ofFloor := func(name string) float64 { return byName[name].cpu(serverOurs) / byName[name].cpu(serverFloor) }
	for _, r := range rep.reviews {
		if r.runner {
			add(ofFloor(r.name), mostOfFloorRunner, "CPU of ours / floor, runner pod %s", r.name)
		}
	}
	add(ofFloor(nameMixed), mostOfFloorMixed, "CPU of ours / floor, mixed")
	for _, r := range rep.Results {
		add(r.cpu(serverOurs)/r.cpu(serverTyped), mostOfTyped, "CPU of ours / typed, %s", r.Load)
	}
	add(rep.DecisionManyNanos/rep.DecisionFewNanos, mostGrowth, "decision on 1,000 variables / on 100")
	add(byName[nameEnvMany].cpu(serverOurs)/byName[nameEnvFew].cpu(serverOurs), mostGrowth, "request with 1,000 variables / with 100")
	m := rep.Memory
	const growth = "MiB resident more after %d requests than after %d%s"
	add(mebibytes(m.LateRSS-m.EarlyRSS), mebibytes(mostMemoryGrowth), growth, m.LateRequests, m.EarlyRequests, "")
	add(mebibytes(m.LateKept-m.EarlyKept), mebibytes(mostMemoryGrowth), growth, m.LateRequests, m.EarlyRequests, ", collected")
}

func (rep *report) missed() bool {
	for _, v := range rep.Verdicts {
		if !v.OK {
			return true
		}
	}
	return false
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// print writes the report as tables.
func (rep *report) print(w io.Writer) error {
	var out bytes.Buffer
	_, _ = fmt.Fprintf(&out, `Admission over HTTPS (HTTP/1.1, TLS 1.3), %d kept connections, client and servers on the same %d CPUs, %s.
CPU is the server process's own user and system time.

`, rep.Connections, rep.CPUs, rep.GoVersion)
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "review\tbody\tserver\tCPU/request\t/floor\t/typed\tp50\tp99\trequests/s\t")
	for _, r := range rep.Results {
		name, size := r.Load, fmt.Sprintf("%.1f KB", float64(r.BodyBytes)/1000)
		for _, row := range r.Rows {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%.0f µs\t%.2f\t%.2f\t%.2f ms\t%.2f ms\t%.0f\t\n", name, size, row.Server, row.CPUMicros,
				row.CPUMicros/r.cpu(serverFloor), row.CPUMicros/r.cpu(serverTyped), row.P50Micros/1000, row.P99Micros/1000, row.PerSecond)
			name, size = "", ""
		}
	}
	_ = t.Flush()
	_, _ = fmt.Fprint(&out, "\nWhat the reviews hold:\n")
	t = tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rep.reviews {
		_, _ = fmt.Fprintf(t, "%s\tpod %.1f KB\tand managedFields %.1f KB\t\n", r.name, float64(r.pod-r.managed)/1000, float64(r.managed)/1000)
	}
	_ = t.Flush()
	m := rep.Memory
	_, _ = fmt.Fprintf(&out, `
One decision without the server: %.1f µs on a pod with 100 variables, %.1f µs with 1,000.
Resident memory of ours after %d requests: %.1f MiB, %.1f MiB once collected; after %d: %.1f MiB, %.1f MiB once collected.

`, rep.DecisionFewNanos/1000, rep.DecisionManyNanos/1000, m.EarlyRequests, mebibytes(m.EarlyRSS), mebibytes(m.EarlyKept),
		m.LateRequests, mebibytes(m.LateRSS), mebibytes(m.LateKept))
	t = tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, v := range rep.Verdicts {
		said := "ok"
		if !v.OK {
			said = "MISSED"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%.2f\t(at most %.2f)\n", said, v.Target, v.Value, v.Limit)
	}
	_ = t.Flush()
	_, err := w.Write(out.Bytes())
	return err
}
