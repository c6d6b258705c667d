// Package ci tests .ci/run, with commands that take no time but say that they did.
package ci

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stub is every command that the script calls. It reads how long it takes, in minutes, and what it ends with, from a file named
// after its words, and turns the clock by that much.
const stub = `#!/usr/bin/env bash
set -eu
state=STATE
name=$(basename "$0")
case "$name" in
date) cat "$state/clock"; exit ;;
id) echo 0; exit ;;
dpkg-query) exit ;;
timeout)
  shift # --kill-after
  allowed=${1%s}
  shift
  from=$(cat "$state/clock")
  code=0
  "$@" || code=$?
  if [ $(( $(cat "$state/clock") - from )) -gt "$allowed" ]; then
    echo $(( from + allowed )) >"$state/clock"
    exit 124
  fi
  exit "$code" ;;
esac
echo "ran $name $*"
step="$state/$name-$1"
took=0
code=0
if [ -f "$step" ]; then read -r took code <"$step"; fi
echo $(( $(cat "$state/clock") + took * 60 )) >"$state/clock"
exit "$code"
`

// run runs the script with steps that take so many minutes and end with a code, as in "make-e2e": "11 0".
func run(t *testing.T, steps map[string]string, env ...string) (output string, code int) {
	t.Helper()
	script, err := filepath.Abs("../../../.ci/run")
	require.NoError(t, err)
	state, bin := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(state, "clock"), []byte("1000000"), 0o600))
	for step, took := range steps {
		require.NoError(t, os.WriteFile(filepath.Join(state, step), []byte(took+"\n"), 0o600))
	}
	for _, name := range []string{"make", "go", "date", "id", "dpkg-query", "timeout"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(strings.ReplaceAll(stub, "STATE", state)), 0o700))
	}
	cmd := exec.CommandContext(t.Context(), "bash", script)
	cmd.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode()
	}
	require.NoError(t, err)
	return string(out), 0
}

const (
	lastTest = "ran go test -count=1 "
	site     = "the site, in a browser"
	e2e      = "end to end, on a real node"
	runners  = "the runner systems' own code"
)

func TestEveryStepRunsWhereThereIsTime(t *testing.T) {
	out, code := run(t, map[string]string{"make-lint": "2 0", "make-test": "10 0", "make-demo": "2 0", "make-soak": "3 0", "make-e2e": "11 0"})
	require.Zero(t, code, out)
	var ran []string
	for line := range strings.Lines(out) {
		if command, ok := strings.CutPrefix(line, "ran "); ok {
			ran = append(ran, strings.Join(strings.Fields(command)[:2], " "))
		}
	}
	require.Equal(t, []string{"make lint", "make test", "go test", "make demo", "make soak", "make site-test",
		"make e2e", "make runners", "go test"}, ran)
	require.Contains(t, out, "== done after 28 min; left out: nothing\n")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.True(t, strings.HasPrefix(lines[len(lines)-1], lastTest), "a test runner has the last word")
}

func TestWhatThereIsNoTimeForIsLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		steps map[string]string
		env   []string
		out   []string // what is left out
		says  string
	}{
		"the budget has gone by": {map[string]string{"make-test": "60 0"}, nil, []string{"demo", "roll-out soak", site, e2e, runners},
			"60 min of the budget of 60 min have gone by"},
		"a budget of one's own": {map[string]string{"make-test": "10 0"}, []string{"CI_BUDGET_MINUTES=5"},
			[]string{"demo", "roll-out soak", site, e2e, runners}, "10 min of the budget of 5 min have gone by"},
		"a slow machine, by what it took so far": {map[string]string{"make-test": "50 0", "make-demo": "4 0", "make-soak": "4 0"}, nil,
			[]string{e2e, runners}, e2e + ": it would take about 50 min here, and 27 min are left"},
		"the limit ends a step": {map[string]string{"make-test": "30 0", "make-e2e": "57 0"}, nil, []string{e2e, runners},
			e2e + ": it was ended after 55 min, at the limit of 85 min"},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := run(t, c.steps, c.env...)
			require.Zero(t, code, out)
			require.Contains(t, out, "left out: "+strings.Join(c.out, "; ")+"\n")
			require.Contains(t, out, c.says)
			require.Contains(t, out, lastTest)
		})
	}
}

func TestAFailureFails(t *testing.T) {
	for name, c := range map[string]struct {
		step, took string
		code       int
		says       string
	}{
		"lint":               {"make-lint", "1 2", 2, "== lint"},
		"tests":              {"make-test", "1 1", 1, "== tests"},
		"a late step":        {"make-soak", "2 2", 2, "FAIL: roll-out soak ended with code 2"},
		"the last late step": {"make-e2e", "2 1", 1, "FAIL: " + e2e + " ended with code 1"},
		"a step that hangs":  {"make-demo", "500 0", 1, "FAIL: demo was ended after 20 min, its allowance: it hangs"},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := run(t, map[string]string{c.step: c.took})
			require.Equal(t, c.code, code, out)
			require.Contains(t, out, c.says)
			require.NotContains(t, out, lastTest)
		})
	}
}
