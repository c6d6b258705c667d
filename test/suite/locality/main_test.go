package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/suite/locality/report"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// TestTheRealSchedulerPlacesJobsAsTheSimulationSays runs the program on a small fleet.
func TestTheRealSchedulerPlacesJobsAsTheSimulationSays(t *testing.T) {
	var out, progress bytes.Buffer
	args := strings.Fields("-nodes 12 -large= -utilisation 0.6 -requests 1 -policies blind,12:100:10,oracle -seeds 1 -jobs 150 -lanes 1")
	args = append(args, "-o", "json")
	require.NoError(t, command(t.Context(), args, &out, &progress), "%s", progress.String())
	r, err := report.Read(&out)
	require.NoError(t, err)
	require.Contains(t, r.Scheduler, "kube-scheduler v1.")
	require.Len(t, r.Measured, 1)
	require.Empty(t, r.Simulated)
	for _, f := range r.Measured[0].Policies {
		if f.Name == sim.Greedy {
			require.Nil(t, f.Measured)
			continue
		}
		require.GreaterOrEqual(t, f.Measured.Jobs, 150)
		require.Equal(t, f.Simulated.Jobs, f.Measured.Jobs, "the same trace")
		// Both throw dice.
		require.InDelta(t, f.Simulated.HitRate, f.Measured.HitRate, 0.15, f.Title())
	}
}

func TestTheSimulationAloneIsTheSameEachTime(t *testing.T) {
	args := strings.Fields("-simulate -nodes 5 -large 150 -utilisation 0.6 -requests 1,0.5 -seeds 1 -jobs 200")
	var texts []string
	for range 2 {
		var out bytes.Buffer
		require.NoError(t, command(t.Context(), args, &out, &bytes.Buffer{}))
		texts = append(texts, out.String())
	}
	require.Equal(t, texts[0], texts[1])
	for _, want := range []string{"5 nodes, 0.6, requests 0.5 of use", "150 nodes, 0.6", "ladder of 16, 100 to 55", "greedy oracle"} {
		require.Contains(t, texts[0], want)
	}
	require.NotContains(t, texts[0], "goal")
}

func TestFlagsThatMeanNothingAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"-nodes 1":               `-nodes: "1" is no number from 2 to 500`,
		"-nodes 20,many":         `-nodes: "many" is no number`,
		"-large 10000":           `-large: "10000" is no number from 2 to 5000`,
		"-utilisation 2":         `-utilisation: "2" is no number from 0.05 to 1`,
		"-requests 0":            `-requests: "0" is no number from 0.1 to 1`,
		"-policies seeing":       `-policies: "seeing" is no policy: want blind, oracle or NODES:WEIGHT:LASTWEIGHT`,
		"-seeds 0":               "-seeds and -lanes must be 1 at least",
		"-o yaml":                `-o "yaml": want text, json or svg`,
		"blind":                  `"blind" is no flag; see -help`,
		"-from none.json":        "open none.json: no such file",
		"-simulate -o svg -jobs": "flag needs an argument: -jobs",
	} {
		err := command(t.Context(), strings.Fields(args), &bytes.Buffer{}, &bytes.Buffer{})
		require.ErrorContains(t, err, want, args)
	}
}

func TestHelpHasExamples(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, command(t.Context(), []string{"-help"}, &bytes.Buffer{}, &out))
	require.Contains(t, out.String(), "go run ./test/suite/locality -nodes 100")
}
