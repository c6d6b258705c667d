package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/internal/check"
)

func TestAPluginIsRecognisedByItsName(t *testing.T) {
	for program, want := range map[string]bool{
		"kubectl-dagger": true, "/opt/krew/bin/kubectl-dagger": true, "kubectl-dagger.exe": true, "dagger-inject": false, "": false,
	} {
		require.Equal(t, want, isPlugin(program), program)
	}
}

// TestAPluginSpeaksOfKubectl leaves no example that a user of the plugin could not copy.
func TestAPluginSpeaksOfKubectl(t *testing.T) {
	root := newRoot(streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	asPlugin(root)
	commands := 0
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		commands++
		require.NotContains(t, cmd.Example, "dagger-inject ", cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(root)
	require.Greater(t, commands, 10)
	require.Contains(t, root.UsageString(), "kubectl dagger")
}

func TestWhatCanBeExplainedIsCompleted(t *testing.T) {
	for line, want := range map[string]string{"explain ": "pod\nnamespace\n:4", "explain pod a ": ":4"} {
		code, out, report := execute(t, "", append([]string{cobra.ShellCompRequestCmd}, strings.Split(line, " ")...)...)
		require.Zero(t, code, report)
		require.Equal(t, want, strings.TrimSpace(out))
	}
}

// TestACheckIsRepeatedUntilNothingFails mends in the third round what fails in the first two.
func TestACheckIsRepeatedUntilNothingFails(t *testing.T) {
	var report bytes.Buffer
	rounds := 0
	findings := waitUntilHealthy(t.Context(), streams{err: &report}, func(context.Context) []check.Finding {
		if rounds++; rounds < 3 {
			return []check.Finding{{Check: "replicas", Level: check.Fail, Text: "0 of 2"}, {Check: "caches", Level: check.Warn, Text: "so-so"}}
		}
		return []check.Finding{{Check: "replicas", Level: check.OK}}
	})
	require.Equal(t, 3, rounds)
	require.False(t, check.Failed(findings))
	require.Equal(t, "waiting: replicas: 0 of 2\n", report.String(), "once, and no warning")
}

func TestAWaitEndsWithWhatStillFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	findings := waitUntilHealthy(ctx, streams{err: &bytes.Buffer{}}, func(context.Context) []check.Finding {
		return []check.Finding{{Check: "replicas", Level: check.Fail, Text: "0 of 2"}}
	})
	require.True(t, check.Failed(findings))
}
