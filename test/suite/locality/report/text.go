package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// Text writes the report as tables, followed by the goals.
func (r *Report) Text(to io.Writer) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Measured) > 0 {
		_, _ = fmt.Fprintf(t, "Placed by %s, %d seeds; in the last three columns, how far the simulation is from it.\n\n", r.Scheduler, r.Seeds)
		r.rows(t, r.Measured)
		_, _ = fmt.Fprint(t, "\n")
	}
	if len(r.Simulated) > 0 {
		_, _ = fmt.Fprintf(t, "Simulated only, %d seeds.\n\n", r.Seeds)
		r.rows(t, r.Simulated)
		_, _ = fmt.Fprint(t, "\n")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return r.goals(to)
}

// goals writes which goals each ladder reaches.
func (r *Report) goals(to io.Writer) error {
	if len(r.Measured) == 0 {
		return nil
	}
	for _, f := range r.Measured[0].Policies {
		if f.Ladder.Nodes == 0 {
			continue
		}
		for _, v := range r.Verdicts(f.Name) {
			if _, err := fmt.Fprintf(to, "%s, %s\n", f.Title(), v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Report) rows(t io.Writer, rows []Row) {
	real := slices.ContainsFunc(rows[0].Policies, func(f Figures) bool { return f.Measured != nil })
	simulation := ""
	if real {
		simulation = "distance: hit rate\tmean\tp95\t"
	}
	_, _ = fmt.Fprintln(t, "fleet, utilisation\tpolicy\thit rate\tmean\tp95\tload max/mean\tbusy\t"+simulation)
	for _, row := range rows {
		for _, f := range row.Policies {
			best, distance := f.best(), ""
			if real {
				distance = f.distance()
			}
			_, _ = fmt.Fprintf(t, "%s\t%s\t%.1f%%\t%.0f s\t%.0f s\t%.2f\t%.2f\t%s\n", row.Cell, f.Title(),
				100*best.HitRate, best.Mean, best.P95, best.MaxLoad, best.Busy, distance)
		}
	}
}

// distance is how far the simulation is from what was measured.
func (f *Figures) distance() string {
	if f.Measured == nil {
		return "\t\t\t"
	}
	return fmt.Sprintf("%+.1f\t%+.0f%%\t%+.0f%%\t", 100*(f.Simulated.HitRate-f.Measured.HitRate),
		100*(f.Simulated.Mean/f.Measured.Mean-1), 100*(f.Simulated.P95/f.Measured.P95-1))
}

// Verdict is a goal and whether it was reached.
type Verdict struct {
	Goal, Found string
	OK          bool
}

// String says whether the goal was reached.
func (v Verdict) String() string {
	word := "ok"
	if !v.OK {
		word = "MISSED"
	}
	return fmt.Sprintf("%s: %s: %s", v.Goal, v.Found, word)
}

// Default returns the policy that -check judges: the default of scheduling.cacheAffinity.
func Default() string {
	c := config.Default().Scheduling.CacheAffinity
	return fmt.Sprintf("%d:%d:%d", c.Nodes, c.Weight, c.LastWeight)
}

// goal is the fleet that the goals are about.
var goal = Cell{Nodes: 100, Utilisation: 0.6, Requests: 1}

// Verdicts judges a policy, as far as the fleets that it takes were measured.
func (r *Report) Verdicts(policy string) []Verdict {
	var verdicts []Verdict
	above, cells := "", 0
	worst := math.Inf(-1)
	for _, row := range r.Measured {
		ladder, blind, oracle := row.find(policy), row.find(sim.Blind), row.find(sim.Greedy)
		if ladder == nil || blind == nil {
			continue
		}
		cells++
		if by := ladder.Measured.P95/blind.Measured.P95 - 1; by > 0 {
			above += fmt.Sprintf("%s, %.0f s and blind %.0f s, ", row.Cell, ladder.Measured.P95, blind.Measured.P95)
		} else {
			worst = max(worst, by)
		}
		if row.Cell != goal {
			continue
		}
		points := 100 * (ladder.Measured.HitRate - blind.Measured.HitRate)
		verdicts = append(verdicts, Verdict{fmt.Sprintf("%s: hit rate at least 20 points above blind's", row.Cell),
			fmt.Sprintf("%.1f points", points), points >= 20})
		if oracle != nil {
			share := ladder.Measured.HitRate / oracle.best().HitRate
			verdicts = append(verdicts, Verdict{fmt.Sprintf("%s: hit rate at least 95%% of the oracle's", row.Cell),
				fmt.Sprintf("%.0f%%", 100*share), share >= 0.95})
		}
	}
	if cells > 0 {
		found := strings.TrimSuffix(above, ", ")
		if found == "" {
			found = fmt.Sprintf("%.0f%% below it at least", -100*worst)
		}
		verdicts = append(verdicts, Verdict{fmt.Sprintf("p95 not above blind's in any of %d fleets", cells), found, above == ""})
	}
	return verdicts
}
