package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/internal/apicheck"
)

func TestCheckAPIRefusesArguments(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no namespace":         {[]string{"--namespace", ""}, "--namespace is empty"},
		"no time":              {[]string{"--timeout", "0"}, "--timeout 0s is not accepted"},
		"an unknown output":    {[]string{"-o", "yaml"}, `accepted is text or json`},
		"an argument too many": {[]string{"default"}, "takes no arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, "", append([]string{"check", "api"}, c.args...)...)
			require.Equal(t, exitBadInput, code)
			require.Empty(t, out)
			require.Contains(t, report, c.says)
		})
	}
}

func TestExplainAnswerNamesTheCauses(t *testing.T) {
	require.Equal(t, "the webhook was not called for a pod in namespace ci\nUsual causes:\n  - a\n  - b",
		explainAnswer(apicheck.Answer{Outcome: apicheck.NotCalled, Namespace: "ci", Causes: []string{"a", "b"}}))
}
