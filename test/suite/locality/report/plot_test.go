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
)

// TestThePlotIsThatOfTheCommittedReport fails where one was made without the other, or for another default; -update makes the plot.
func TestThePlotIsThatOfTheCommittedReport(t *testing.T) {
	file, err := os.Open(committed)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	r, err := Read(file)
	require.NoError(t, err)
	golden.Require(t, plot, text(t, r.SVG))
	verdicts := r.Verdicts()
	require.Len(t, verdicts, 3, "%s is of the default: measure anew, with the command in the head of main.go", Default())
	for _, v := range verdicts {
		require.True(t, v.OK, "%s", v)
	}
}
