// Package figures has what the benchmarks find: as JSON, which they all write and read alike, and as tables.
package figures

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// The parts of a report.
const (
	PartRequest      = "request"
	PartPolicies     = "policies"
	PartPoliciesMany = "policies-many"
	PartCreation     = "creation"
	PartStartup      = "startup"
)

// Report is what the benchmarks found. Each writes one that has its own part.
type Report struct {
	Request *Request `json:"request,omitempty"`
	// Policies are those of a small cluster, PoliciesMany those of a large one, with many engines.
	Policies     *Policies `json:"policies,omitempty"`
	PoliciesMany *Policies `json:"policiesMany,omitempty"`
	Creation     *Creation `json:"creation,omitempty"`
	Startup      *Startup  `json:"startup,omitempty"`
}

// Run is what all parts have: where a part was measured, how, and which limits it keeps to.
type Run struct {
	Machine Machine `json:"machine"`
	// Quick is set where less was measured, and so less exactly.
	Quick    bool      `json:"quick,omitempty"`
	Verdicts []Verdict `json:"verdicts"`
}

// Part is a part of a report. Its run is nil where it was not measured.
type Part struct {
	Name string
	Run  *Run

	text func(io.Writer) error
}

// Parts returns all parts, in the order in which they are shown.
func (r *Report) Parts() []Part {
	parts := []Part{{Name: PartRequest}, {Name: PartPolicies}, {Name: PartPoliciesMany}, {Name: PartCreation}, {Name: PartStartup}}
	if r.Request != nil {
		parts[0].Run, parts[0].text = &r.Request.Run, r.Request.text
	}
	if r.Policies != nil {
		parts[1].Run, parts[1].text = &r.Policies.Run, r.Policies.text
	}
	if r.PoliciesMany != nil {
		parts[2].Run, parts[2].text = &r.PoliciesMany.Run, r.PoliciesMany.text
	}
	if r.Creation != nil {
		parts[3].Run, parts[3].text = &r.Creation.Run, r.Creation.text
	}
	if r.Startup != nil {
		parts[4].Run, parts[4].text = &r.Startup.Run, r.Startup.text
	}
	return parts
}

// Take replaces the parts that another report has.
func (r *Report) Take(other *Report) {
	if other.Request != nil {
		r.Request = other.Request
	}
	if other.Policies != nil {
		r.Policies = other.Policies
	}
	if other.PoliciesMany != nil {
		r.PoliciesMany = other.PoliciesMany
	}
	if other.Creation != nil {
		r.Creation = other.Creation
	}
	if other.Startup != nil {
		r.Startup = other.Startup
	}
}

// Read reads a report. It accepts no field that it does not know, and no verdict that does not follow from its figure.
func Read(from io.Reader) (*Report, error) {
	r := &Report{}
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(r); err != nil {
		return nil, fmt.Errorf("reading a report: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading a report: something follows it")
	}
	measured := false
	for _, p := range r.Parts() {
		if p.Run == nil {
			continue
		}
		measured = true
		for _, v := range p.Run.Verdicts {
			if err := v.check(p.Name); err != nil {
				return nil, fmt.Errorf("reading a report: %s: %w", p.Name, err)
			}
		}
	}
	if !measured {
		return nil, errors.New("reading a report: it has no part")
	}
	return r, nil
}

// ReadFile reads a report from a file.
func ReadFile(path string) (_ *Report, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	r, err := Read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// JSON writes the report as JSON.
func (r *Report) JSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// ErrMissed says that a figure exceeds its limit.
var ErrMissed = errors.New("a limit is missed")

// The forms of output.
const (
	OutputText = "text"
	OutputJSON = "json"
)

// CheckOutput checks the value of the flag -o.
func CheckOutput(output string) error {
	if !slices.Contains([]string{OutputText, OutputJSON}, output) {
		return fmt.Errorf("-o %q is not accepted: want %s or %s", output, OutputText, OutputJSON)
	}
	return nil
}

// Emit writes the report of one benchmark, and returns ErrMissed if check is set and a limit is missed.
func (r *Report) Emit(to io.Writer, output string, check bool) error {
	err := r.emit(to, output)
	if err == nil && check && len(r.Missed()) > 0 {
		return ErrMissed
	}
	return err
}

func (r *Report) emit(to io.Writer, output string) error {
	if output == OutputJSON {
		return r.JSON(to)
	}
	verdicts := newVerdictTable()
	for _, p := range r.Parts() {
		if p.Run == nil {
			continue
		}
		if err := p.text(to); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(to, "\n%s; load average at the start: %.2f.\n\n", p.Run.Machine, p.Run.Machine.Load)
		verdicts.addVerdicts(p.Run.Verdicts)
	}
	return verdicts.Text(to)
}
