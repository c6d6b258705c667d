// Package page writes what docs/performance.md says of what was measured: tables, sentences with figures in them, and plots.
package page

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// Blocks returns the generated parts of the page, by name.
func Blocks(r *figures.Report) map[string]string {
	return map[string]string{
		"limits": limits(r), "machine": machine(r), "replica": replica(r),
		"request": request(r.Request), "creation": creation(r.Creation), "startup": startup(r.Startup), "steps": steps(r.Startup),
	}
}

// Plots returns what writes each plot, by the name of its file. A part that was not measured has none.
func Plots(r *figures.Report) map[string]func(io.Writer) error {
	plots := map[string]func(io.Writer) error{requestPlot: nil, creationPlot: nil, startupPlot: nil}
	if r.Request != nil {
		plots[requestPlot] = plotRequest(r.Request).write
	}
	if r.Creation != nil {
		plots[creationPlot] = plotCreation(r.Creation).write
	}
	if r.Startup != nil {
		plots[startupPlot] = plotStartup(r.Startup).write
	}
	return plots
}

// The files of the plots.
const (
	requestPlot  = "performance-request.svg"
	creationPlot = "performance-creation.svg"
	startupPlot  = "performance-startup.svg"
)

// notMeasured stands where a part has no figures.
const notMeasured = "This was not measured in the run that this page is of."

// paragraphs are parts of a block, with an empty line between them.
func paragraphs(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "\n\n")
}

func image(alt, file string) string { return fmt.Sprintf("![%s](images/%s)", alt, file) }

func limits(r *figures.Report) string {
	all := 0
	for _, p := range r.Parts() {
		if p.Run != nil {
			all += len(p.Run.Verdicts)
		}
	}
	said := fmt.Sprintf("All %d limits are kept.", all)
	if missed := len(r.Missed()); missed > 0 {
		said = fmt.Sprintf("%d of %d limits are missed.", missed, all)
	}
	return paragraphs(said, r.VerdictTable(nil).Markdown())
}

func machine(r *figures.Report) string {
	lines := []string{"| part | machine | load average at the start | day | run |", "|---|---|---|---|---|"}
	for _, p := range r.Parts() {
		if p.Run == nil {
			lines = append(lines, fmt.Sprintf("| %s | | | | not measured |", p.Name))
			continue
		}
		how := "whole"
		if p.Run.Quick {
			how = "`-quick`, and so less exact"
		}
		lines = append(lines, fmt.Sprintf("| %s | %s | %.2f | %s | %s |", p.Name, p.Run.Machine, p.Run.Machine.Load, p.Run.Machine.Day, how))
	}
	return strings.Join(lines, "\n")
}

func replica(r *figures.Report) string {
	var sizes []*figures.Policies
	for _, p := range []*figures.Policies{r.Policies, r.PoliciesMany} {
		if p != nil {
			sizes = append(sizes, p)
		}
	}
	if len(sizes) == 0 {
		return notMeasured
	}
	return figures.ReplicaTable(sizes...).Markdown()
}

func request(r *figures.Request) string {
	if r == nil {
		return notMeasured
	}
	var floor, typed, rate span
	for _, l := range r.Loads {
		if l.Runner {
			floor.add(l.Of(figures.ServerFloor))
			typed.add(l.Of(figures.ServerTyped))
			rate.add(l.PodsPerSecond())
		}
	}
	decimals := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	sentences := []string{
		fmt.Sprintf("For real runner pods, a request costs %s times the CPU of a server that does nothing, and %s of that of a webhook that "+
			"decodes pods into Kubernetes' types.", floor.text(decimals), typed.text(decimals)),
		fmt.Sprintf("A core decides on %s of them a second, so two replicas with a core each are full at twice that.",
			rate.text(figures.Count)),
	}
	if len(r.Decisions) > 0 {
		d := r.Decisions[0]
		sentences = append(sentences, fmt.Sprintf("The decision alone, without the server, takes %.1f µs and %d allocations for the pod `%s`.",
			d.Nanos/1000, d.Allocations, d.Review))
	}
	return paragraphs(strings.Join(sentences, "\n"),
		image("CPU time of a request by review: a server that does nothing, ours, and a typed one", requestPlot), r.Table().Markdown())
}

// span is from the least to the greatest of some values.
type span struct {
	least, most float64
	any         bool
}

func (s *span) add(v float64) {
	if !s.any {
		s.least, s.most, s.any = v, v, true
	}
	s.least, s.most = min(s.least, v), max(s.most, v)
}

func (s *span) text(show func(float64) string) string {
	if show(s.least) == show(s.most) {
		return show(s.least)
	}
	return show(s.least) + " to " + show(s.most)
}

func creation(c *figures.Creation) string {
	if c == nil {
		return notMeasured
	}
	var of []string
	for _, clients := range c.Clients() {
		if v := c.OfPolicy(clients); v > 0 {
			of = append(of, fmt.Sprintf("%.2f with %s", v, named(clients)))
		}
	}
	said := ""
	if len(of) > 0 {
		said = "Counted in creations with a MutatingAdmissionPolicy that makes the same change, one with ours takes " +
			strings.Join(of, ", and ") + "."
	}
	return paragraphs(said, image("Time per creation of a pod, by what injects it and by the number of clients", creationPlot),
		c.Table().Markdown())
}

// named names a number of clients.
func named(clients int) string {
	if clients == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", clients)
}

func startup(s *figures.Startup) string {
	if s == nil {
		return notMeasured
	}
	said := ""
	if v := s.Find("injected"); v != nil && v.More != nil {
		said = fmt.Sprintf("As the policy's defaults inject it, the job's container starts %.2f s later than in a pod that is not injected.",
			v.More.Seconds())
	}
	return paragraphs(said, image("Time from the creation of a pod until its job container runs, by variant", startupPlot),
		s.Table().Markdown())
}

// stepped are the variants whose steps the page shows.
var stepped = []string{"injected", "CPU limited to 100m", "image volume", "image volume, waits at first use"}

func steps(s *figures.Startup) string {
	if s == nil {
		return notMeasured
	}
	return s.StepsTable(stepped...).Markdown()
}
