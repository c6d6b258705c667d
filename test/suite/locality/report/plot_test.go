package report

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// The report that is committed, of a whole run, and the plot of it that the documentation shows.
const (
	committed = "../measured.json"
	plot      = "../../../../docs/images/locality.svg"
	// reaches is the ladder that reaches all goals in it.
	reaches = "16:100:55"
)

// TestThePlotIsThatOfTheCommittedReport fails where one was made without the other; -update makes the plot.
func TestThePlotIsThatOfTheCommittedReport(t *testing.T) {
	file, err := os.Open(committed)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	r, err := Read(file)
	require.NoError(t, err)
	golden.Require(t, plot, text(t, r.SVG))
	verdicts := r.Verdicts(reaches)
	require.Len(t, verdicts, 3)
	for _, v := range verdicts {
		require.True(t, v.OK, "%s", v)
	}
}
