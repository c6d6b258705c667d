package main

import (
	"strings"
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
	err := explainAnswer(apicheck.Answer{Outcome: apicheck.Failed, Namespace: "ci", Said: "a\nb", Causes: []string{"a", "b"}})
	var out strings.Builder
	complain(&out, err)
	require.Equal(t, "dagger-inject: the pod of the check cannot be created in namespace ci: a\\nb\nUsual causes:\n  - a\n  - b\n",
		out.String())
	out.Reset()
	complain(&out, badInputf("policy.yaml: %w", err))
	require.Contains(t, out.String(), "dagger-inject: policy.yaml: the pod of the check")
}
