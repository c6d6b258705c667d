package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
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

// figure is a median and a 95th percentile.
type figure struct {
	Median time.Duration `json:"medianNanos"`
	P95    time.Duration `json:"p95Nanos"`
	// All are those of every pod, in the order of their creation.
	All []time.Duration `json:"allNanos"`
}

func figureOf(all []time.Duration) figure {
	sorted := slices.Sorted(slices.Values(all))
	// The median is of the two in the middle; the percentile is the least value that 95 in 100 do not exceed.
	n := len(sorted)
	return figure{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, P95: sorted[(n*95+99)/100-1], All: all}
}

// row is one variant in the report.
type row struct {
	Variant string `json:"variant"`
	Pods    int    `json:"pods"`
	Started figure `json:"started"`
	// More is how much later the job's container starts than in a pod that is not injected: the difference of the medians.
	More  time.Duration `json:"moreNanos"`
	Steps []namedFigure `json:"steps"`
}

type namedFigure struct {
	Name string `json:"name"`
	figure
}

func rowsOf(variants []variant, samples map[string][]sample) []row {
	var rows []row
	for _, v := range variants {
		var started []time.Duration
		var names []string
		byName := map[string][]time.Duration{}
		for _, s := range samples[v.name] {
			started = append(started, s.started())
			for _, step := range s.steps() {
				if byName[step.name] == nil {
					names = append(names, step.name)
				}
				byName[step.name] = append(byName[step.name], step.took)
			}
		}
		r := row{Variant: v.name, Pods: len(started), Started: figureOf(started)}
		for _, name := range names {
			r.Steps = append(r.Steps, namedFigure{name, figureOf(byName[name])})
		}
		rows = append(rows, r)
	}
	for i := range rows {
		for _, base := range rows {
			if base.Variant == baseline {
				rows[i].More = rows[i].Started.Median - base.Started.Median
			}
		}
	}
	return rows
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

// printRows writes the report as tables, of Markdown.
func printRows(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	line("| variant\t| pods\t| created to job started, median\t| 95th percentile\t| more than not injected\t|")
	line("|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range rows {
		line("| %s\t| %d\t| %s\t| %s\t| %s\t|", r.Variant, r.Pods, seconds(r.Started.Median), seconds(r.Started.P95), seconds(r.More))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		line("\n%s:\n", r.Variant)
		line("| step\t| median\t| 95th percentile\t|")
		line("|---\t|---\t|---\t|")
		for _, s := range r.Steps {
			line("| %s\t| %s\t| %s\t|", s.Name, millis(s.Median), millis(s.P95))
		}
	}
	return w.Flush()
}
