// Package report keeps what was measured of where jobs landed, and shows it as text and as a plot.
package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// Report is what one run of the program found.
type Report struct {
	// Scheduler is the version of the kube-scheduler that placed the jobs of Measured.
	Scheduler string `json:"scheduler,omitempty"`
	// Seeds is how many traces each figure is of.
	Seeds int `json:"seeds"`
	// Measured are the fleets of the real scheduler, Simulated those of the simulation alone.
	Measured  []Row `json:"measured"`
	Simulated []Row `json:"simulated"`
}

// Row is what became of one fleet under several policies.
type Row struct {
	Cell
	Policies []Figures `json:"policies"`
}

// Cell says which fleet.
type Cell struct {
	Nodes int `json:"nodes"`
	// Utilisation is the share of the slots that is busy if half of the jobs find their cache.
	Utilisation float64 `json:"utilisation"`
	// Requests is what jobs request as a share of what they use.
	Requests float64 `json:"requests"`
}

// String names the cell.
func (c Cell) String() string {
	text := fmt.Sprintf("%d nodes, %g", c.Nodes, c.Utilisation)
	if c.Requests != 1 {
		text += fmt.Sprintf(", requests %g of use", c.Requests)
	}
	return text
}

// Figures are those of a policy.
type Figures struct {
	sim.Policy
	// Measured is of jobs that the real scheduler placed, nil where none did. An oracle asks no scheduler.
	Measured *fleet.Result `json:"measured,omitempty"`
	// Simulated is of the same jobs, placed by the simulation.
	Simulated *fleet.Result `json:"simulated"`
}

// best is what was measured, or else simulated.
func (f *Figures) best() *fleet.Result {
	if f.Measured != nil {
		return f.Measured
	}
	return f.Simulated
}

// find returns the figures of a policy, or nil.
func (r *Row) find(policy string) *Figures {
	for i := range r.Policies {
		if r.Policies[i].Name == policy {
			return &r.Policies[i]
		}
	}
	return nil
}

// Read reads a report that was written as JSON.
func Read(from io.Reader) (*Report, error) {
	r := &Report{}
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(r); err != nil {
		return nil, fmt.Errorf("reading a report: %w", err)
	}
	return r, nil
}

// JSON writes the report as JSON.
func (r *Report) JSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
