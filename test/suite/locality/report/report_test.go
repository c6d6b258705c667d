package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// example is a report of one measured and one simulated fleet.
func example() *Report {
	result := func(hits, p95 float64) *fleet.Result {
		return &fleet.Result{Jobs: 1000, HitRate: hits, Mean: p95 / 3, P95: p95, MaxLoad: 1.5, Busy: 0.5}
	}
	policies, err := sim.ParsePolicies("blind," + Default() + ",oracle")
	if err != nil {
		panic(err)
	}
	figures := []Figures{
		{policies[0], result(0.5, 900), result(0.51, 890)},
		{policies[1], result(0.75, 600), result(0.74, 610)},
		{policies[2], nil, result(0.78, 580)},
	}
	simulated := []Figures{{policies[0], nil, result(0.4, 1000)}}
	return &Report{Scheduler: "kube-scheduler v1.36.3", Seeds: 3, Measured: []Row{{goal, figures}},
		Simulated: []Row{{Cell{5000, 0.85, 1}, simulated}}}
}

func text(t *testing.T, show func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, show(&b))
	return b.String()
}

func TestText(t *testing.T) { golden.Require(t, "testdata/report.txt", text(t, example().Text)) }

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	written := text(t, example().JSON)
	read, err := Read(strings.NewReader(written))
	require.NoError(t, err)
	require.Equal(t, example(), read)
	_, err = Read(strings.NewReader(`{"hits": 1}`))
	require.ErrorContains(t, err, `unknown field "hits"`)
}

func TestGoalsCanBeMissed(t *testing.T) {
	ok := func(r *Report) (all []bool) {
		for _, v := range r.Verdicts(Default()) {
			all = append(all, v.OK)
		}
		return all
	}
	r := example()
	require.Equal(t, []bool{true, true, true}, ok(r))
	ladder := r.Measured[0].Policies[1].Measured
	ladder.HitRate = 0.69
	require.Equal(t, []bool{false, false, true}, ok(r))
	ladder.HitRate, ladder.P95 = 0.75, 901
	require.Equal(t, []bool{true, true, false}, ok(r))
	require.Contains(t, text(t, r.Text), "p95 not above blind's in any of 1 fleets: 100 nodes, 0.6, 901 s and blind 900 s: MISSED")
	r.Measured[0].Nodes = 20
	require.Equal(t, []bool{false}, ok(r), "the others are about 100 nodes")
	r.Measured = nil
	require.Empty(t, ok(r))
}

func TestThePlotIsAnImageWithAllFigures(t *testing.T) {
	svg := text(t, example().SVG)
	require.Equal(t, svg, text(t, example().SVG))
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := decoder.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	for _, want := range []string{"50%", "75%", "78%", "900", "600", "580", "100 nodes, 0.6", "prefers-color-scheme: dark"} {
		require.Contains(t, svg, want)
	}
	require.ErrorContains(t, (&Report{}).SVG(io.Discard), "no fleet")
}
