package engines

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// Text writes the report as a table, with its conclusions below.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "WORKLOAD\tVERSION\tREADY\tTRANSPORTS\tRUNNING\tPENDING\tNEW PODS")
	for _, e := range r.Engines {
		ready, running, pending, given := unknown, unknown, unknown, "no: "
		if e.Rollout != nil {
			ready = fmt.Sprintf("%d/%d", e.Rollout.Ready, e.Rollout.Wanted)
		}
		if e.Pods != nil {
			running, pending = fmt.Sprint(e.Pods.Running), fmt.Sprint(e.Pods.Pending)
		}
		if e.Default {
			given = "yes: "
		}
		row := []string{e.Workload.String(), or(e.Version), ready, or(join(e)), running, pending, given + e.Because}
		for i := range row {
			row[i] = terminal.Escape(row[i])
		}
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	if r.PodsUnknown != "" {
		_ = terminal.Line(&b, "Which pods use them is not known: %s.", r.PodsUnknown)
	}
	for _, sentence := range r.Conclusions {
		_ = terminal.Line(&b, "%s", sentence)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// unknown stands in a column for what is not known.
const unknown = "-"

func or(text string) string {
	if text == "" {
		return unknown
	}
	return text
}

func join(e Engine) string {
	var names []string
	for _, transport := range e.Transports {
		names = append(names, string(transport))
	}
	return strings.Join(names, ",")
}
