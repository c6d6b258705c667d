package page

import (
	"fmt"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// plotRequest shows the CPU time of each server by review. It is logarithmic, since the typed one's is ten times the others'.
func plotRequest(r *figures.Request) *plot {
	p := &plot{
		title: "CPU time of a request, by review and server",
		legend: []key{
			{"does nothing (the floor)", plain}, {"ours", ours}, {"decodes into types", other},
		},
	}
	var cpu span
	of := panel{title: "CPU time of a request, on a logarithmic scale"}
	for _, l := range r.Loads {
		line := row{name: fmt.Sprintf("%s, %.0f KB", l.Name, float64(l.BodyBytes)/1000)}
		for _, server := range []struct{ name, colour string }{
			{figures.ServerFloor, plain}, {figures.ServerOurs, ours}, {figures.ServerTyped, other},
		} {
			v := l.CPU(server.name)
			cpu.add(v)
			line.marks = append(line.marks, mark{
				value: v, label: micros(v), colour: server.colour, dot: true, before: server.name == figures.ServerFloor,
			})
		}
		of.rows = append(of.rows, line)
	}
	p.panels, p.axis = []panel{of}, logarithmic(cpu.least, cpu.most, micros)
	return p
}

// micros shows microseconds, in a larger unit if they are many.
func micros(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3g s", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.3g ms", v/1e3)
	}
	return fmt.Sprintf("%.0f µs", v)
}

// plotCreation shows the time per creation of each variant, by the number of clients.
func plotCreation(c *figures.Creation) *plot {
	p := &plot{title: "Time per creation of a pod, by variant and number of clients"}
	most := 0.0
	for _, clients := range c.Clients() {
		of := panel{title: "Time per creation, " + named(clients)}
		for _, r := range c.Rows {
			if r.Clients != clients {
				continue
			}
			v := figures.Milliseconds(r.Each)
			most = max(most, v)
			of.rows = append(of.rows, row{r.Title, []mark{{value: v, label: fmt.Sprintf("%.1f ms", v), colour: colourOf(r.Variant)}}})
		}
		p.panels = append(p.panels, of)
	}
	p.axis = linear(most, func(v float64) string { return fmt.Sprintf("%.6g ms", v) })
	return p
}

func colourOf(variant string) string {
	switch variant {
	case figures.CreationOurs:
		return ours
	case figures.CreationPolicy:
		return other
	}
	return plain
}

// plotStartup shows the time from a pod's creation until its job container runs, by variant.
func plotStartup(s *figures.Startup) *plot {
	p := &plot{
		title:  "Time from the creation of a pod until its job container runs, by variant",
		legend: []key{{"not injected", plain}, {"injected", ours}, {"up to the 95th percentile (p95)", ""}},
	}
	of := panel{title: "From the creation of a pod until its job container runs, median"}
	most := 0.0
	for _, v := range s.Variants {
		median, p95 := v.Started.Median.Seconds(), v.Started.P95.Seconds()
		most = max(most, median, p95)
		colour := ours
		if v.Name == figures.StartupBaseline {
			colour = plain
		}
		of.rows = append(of.rows, row{v.Name, []mark{{
			value: median, until: p95, label: fmt.Sprintf("%.2f s, p95 %.2f s", median, p95), colour: colour,
		}}})
	}
	p.panels = []panel{of}
	p.axis = linear(most, func(v float64) string { return fmt.Sprintf("%.6g s", v) })
	return p
}
