package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

const repository = "../../.."

func committed(t *testing.T) []*result {
	t.Helper()
	results, err := read("results")
	require.NoError(t, err)
	require.NotEmpty(t, results)
	return results
}

// TestThePageIsNotStale fails where a run was recorded without the page; -update makes the page.
func TestThePageIsNotStale(t *testing.T) {
	golden.Require(t, repository+"/docs/support.md", page(committed(t)))
}

// TestEveryRunnerSystemHasAColumn compares the columns with the table of docs/runners.md, and with what the tests said.
func TestEveryRunnerSystemHasAColumn(t *testing.T) {
	runners, err := os.ReadFile(repository + "/docs/runners.md")
	require.NoError(t, err)
	table := regexp.MustCompile(`(?s)\| system \| recognised by .*?\n\n`).FindString(string(runners))
	known := map[string]bool{}
	for _, column := range columns {
		require.Contains(t, table, "\n| "+column.title)
		known[string(column.system)] = true
	}
	require.Len(t, regexp.MustCompile(`(?m)^\| [A-Z]`).FindAllString(table, -1), len(columns))
	for _, r := range committed(t) {
		for system := range r.Runners {
			require.True(t, known[system], "%s has no column", system)
		}
	}
}

// TestTheChartAsksForTheOldestKubernetesThatPassed holds its kubeVersion against the results.
func TestTheChartAsksForTheOldestKubernetesThatPassed(t *testing.T) {
	text, err := os.ReadFile(repository + "/charts/dagger-inject/Chart.yaml")
	require.NoError(t, err)
	var chart struct{ KubeVersion string }
	require.NoError(t, yaml.Unmarshal(text, &chart))
	results := committed(t)
	oldest := results[len(results)-1]
	require.Empty(t, oldest.Failed, oldest.Kubernetes)
	minor, err := oldest.minor()
	require.NoError(t, err)
	require.Equal(t, ">="+minor[1:]+".0-0", chart.KubeVersion)
}
