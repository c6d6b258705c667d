package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// print prints what happened to the pods of each phase.
func (s *soak) print(w io.Writer) {
	_, _ = fmt.Fprintln(w)
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "PHASE\tTOOK\tENTRY\tCREATED\tINJECTED\tREFUSED\tMISSED\tP50\tP90\tP99\tMAX\tUNTIL NORMAL")
	for _, r := range s.runs {
		for _, e := range entries {
			t := r.tally[e]
			normal := make([]string, len(r.normal))
			for i, d := range r.normal {
				normal[i] = d.Round(10 * time.Millisecond).String()
			}
			_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", r.name, r.ended.Sub(r.began).Round(time.Second), e,
				len(t.latencies), t.injected, t.refused, t.missed,
				percentile(t.latencies, 50), percentile(t.latencies, 90), percentile(t.latencies, 99), percentile(t.latencies, 100),
				strings.Join(normal, " "))
		}
	}
	_ = out.Flush()
	for _, r := range s.runs {
		if r.peak > 0 {
			_, _ = fmt.Fprintf(w, "\n%s: no replica had more than %d MiB of memory, of %d. What became of it:", r.name, r.peak>>20, memoryLimit>>20)
		} else if len(r.notes) > 0 {
			_, _ = fmt.Fprintf(w, "\n%s:", r.name)
		}
		if len(r.notes) > 0 {
			_, _ = fmt.Fprintf(w, "\n  %s\n", strings.Join(r.notes, "\n  "))
		}
	}
	_, _ = fmt.Fprint(w, `
CREATED counts pods, REFUSED attempts: who is refused tries again. MISSED are pods created without being injected. Latencies are
from the first attempt to the pod's creation, as a client sees them. UNTIL NORMAL is, for each time that a replica was hurt, the
time until the last pod that was refused or missed; of an engine's upgrade, from when half of the new one was ready until the last
job that was given the old one. Every pod of every phase has the CLI and the socket of the engine that it was given.
`)
}

// percentile returns the latency that so many percent of the pods stayed within.
func percentile(latencies []time.Duration, percent int) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	return sorted[(len(sorted)-1)*percent/100].Round(100 * time.Microsecond)
}

// verdict is an error where an objective was missed.
func (s *soak) verdict() error {
	var problems []string
	for _, r := range s.runs {
		problems = append(problems, r.problems()...)
	}
	if len(problems) > 0 {
		return errors.New("objectives missed:\n  " + strings.Join(problems, "\n  "))
	}
	fmt.Println("every objective is met")
	return nil
}
