package main

import (
	"fmt"

	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// The limits.
const (
	mostOfFloorRunner = 2.0      // CPU per request on real runner pods, in floors
	goalOfFloorRunner = 1.8      // what that is meant to become
	mostOfFloorMixed  = 5.0      // the same on the mixed load
	mostOfTyped       = 0.25     // CPU per request at every size, in typed defaulters
	mostGrowth        = 11.0     // cost of 1,000 variables, in costs of 100
	mostMemoryGrowth  = 10 << 20 // bytes
)

// judge compares what was measured with the limits.
func judge(rep *figures.Request) error {
	add := func(figure, limit float64, unit, format string, args ...any) {
		rep.Verdicts = append(rep.Verdicts, figures.AtMost(figures.PartRequest, fmt.Sprintf(format, args...), figure, limit, unit))
	}
	cpu := map[string]float64{}
	for _, l := range rep.Loads {
		for _, server := range servers {
			if l.CPU(server) <= 0 {
				return fmt.Errorf("%s: no CPU time of the server %s was seen: measure for longer", l.Name, server)
			}
		}
		cpu[l.Name] = l.CPU(serverOurs)
		switch {
		case l.Runner:
			add(l.Of(serverFloor), mostOfFloorRunner, "floors", "CPU on the runner pod %s (goal: %g)", l.Name, goalOfFloorRunner)
		case l.Name == nameMixed:
			add(l.Of(serverFloor), mostOfFloorMixed, "floors", "CPU on the mixed load")
		}
	}
	for _, l := range rep.Loads {
		add(l.Of(serverTyped), mostOfTyped, "of typed", "CPU on %s", l.Name)
	}
	add(cpu[nameEnvMany]/cpu[nameEnvFew], mostGrowth, "", "request with 1,000 variables / with 100")
	nanos := map[string]float64{}
	for _, d := range rep.Decisions {
		nanos[d.Review] = d.Nanos
	}
	add(nanos[nameEnvMany]/nanos[nameEnvFew], mostGrowth, "", "decision on 1,000 variables / on 100")
	m := rep.Memory
	more := fmt.Sprintf("more memory after %s requests than after %s",
		figures.Count(float64(m.LateRequests)), figures.Count(float64(m.EarlyRequests)))
	add(figures.Mebibytes(m.LateRSS-m.EarlyRSS), figures.Mebibytes(mostMemoryGrowth), "MiB", "%s", more)
	add(figures.Mebibytes(m.LateKept-m.EarlyKept), figures.Mebibytes(mostMemoryGrowth), "MiB", "%s, collected", more)
	return nil
}
