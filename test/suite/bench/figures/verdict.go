package figures

import (
	"fmt"
	"math"
	"slices"
)

// Verdict is a figure, its limit, and whether it keeps to it.
type Verdict struct {
	// Area is the name of the part.
	Area   string  `json:"area"`
	What   string  `json:"what"`
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit,omitempty"`
	Limit  float64 `json:"limit"`
	// Ratio is the figure in limits. It is 0 where the limit is 0.
	Ratio float64 `json:"ratio"`
	OK    bool    `json:"ok"`
}

// AtMost judges a figure that must not exceed its limit.
func AtMost(area, what string, figure, limit float64, unit string) Verdict {
	v := Verdict{Area: area, What: what, Figure: figure, Unit: unit, Limit: limit, OK: figure <= limit}
	if limit != 0 {
		v.Ratio = figure / limit
	}
	return v
}

// check says what is wrong with a verdict that was read.
func (v Verdict) check(area string) error {
	want := AtMost(area, v.What, v.Figure, v.Limit, v.Unit)
	switch {
	case v.Area != area:
		return fmt.Errorf("the verdict %q has the area %q, want %q", v.What, v.Area, area)
	case v.OK != want.OK || math.Abs(v.Ratio-want.Ratio) > 1e-9:
		return fmt.Errorf("the verdict %q says ratio %g, ok: %t; by its figure %g and its limit %g it is %g, %t", v.What, v.Ratio, v.OK,
			v.Figure, v.Limit, want.Ratio, want.OK)
	}
	return nil
}

// withUnit shows a number. Only what is below a hundred needs decimals.
func withUnit(value float64, unit string) string {
	text := fmt.Sprintf("%.2f", value)
	if math.Abs(value) >= 100 || value == math.Trunc(value) {
		text = fmt.Sprintf("%.0f", value)
	}
	if unit == "" {
		return text
	}
	return text + " " + unit
}

// VerdictTable returns the one table of all verdicts, with a line for each part that was not measured, and why.
func (r *Report) VerdictTable(missing map[string]string) *Table {
	t := newVerdictTable()
	for _, p := range r.Parts() {
		if p.Run != nil {
			t.addVerdicts(p.Run.Verdicts)
			continue
		}
		why := missing[p.Name]
		if why == "" {
			why = "not measured"
		}
		t.add(p.Name, why, "", "", "", "missing")
	}
	return t
}

func newVerdictTable() *Table {
	return &Table{head: []string{"area", "what", "limit", "figure", "ratio", "verdict"}}
}

func (t *Table) addVerdicts(verdicts []Verdict) {
	for _, v := range verdicts {
		ratio, said := "", "ok"
		if v.Limit != 0 {
			ratio = fmt.Sprintf("%.2f", v.Ratio)
		}
		if !v.OK {
			said = "MISSED"
		}
		t.add(v.Area, v.What, withUnit(v.Limit, v.Unit), withUnit(v.Figure, v.Unit), ratio, said)
	}
}

// Missed returns the verdicts on figures that exceed their limits.
func (r *Report) Missed() []Verdict {
	var missed []Verdict
	for _, p := range r.Parts() {
		if p.Run != nil {
			missed = append(missed, slices.DeleteFunc(slices.Clone(p.Run.Verdicts), func(v Verdict) bool { return v.OK })...)
		}
	}
	return missed
}
