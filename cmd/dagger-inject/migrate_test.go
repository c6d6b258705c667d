package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/internal/migrate"
	"github.com/dagger-inject/dagger-inject/internal/textdiff"
	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// migrateCases is where each folder has a command line, args.txt, the files that it names, and what comes out: the diff, and the
// report with the exit code.
const migrateCases = "test/data/migrate"

func TestMigrateGoldens(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(repository, migrateCases, "*", "args.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Chdir(dir) // files are named as the reader of the case sees them
			text, err := os.ReadFile("args.txt")
			require.NoError(t, err)
			args := append([]string{"migrate"}, strings.Fields(string(text))...)
			code, diff, report := execute(t, "", args...)
			golden.Require(t, "expected.diff", diff)
			golden.Require(t, "expected.txt", report+fmt.Sprintf("exit code %d\n", code))
			require.Equal(t, strings.HasPrefix(filepath.Base(dir), "bad-"), code == exitBadInput, report)

			out := filepath.Join(t.TempDir(), "out")
			written, _, report := execute(t, "", append(args, "-o", out)...)
			require.Equal(t, code, written, report)
			if code == exitBadInput {
				require.NoDirExists(t, out, "bad input writes nothing")
				return
			}
			requireOtherLinesKept(t, args, out)
			again, _, _ := execute(t, "", append(args, "-o", out)...)
			require.Equal(t, exitBadInput, again, "files that exist are not overwritten")
		})
	}
}

// addedLine matches the lines that an edit may add.
var addedLine = regexp.MustCompile(`dagger\.io/|^\s*(metadata|labels|annotations|podMetadata):$|pod_(labels|annotations)\]$`)

// requireOtherLinesKept holds the promise that an edit takes lines out and adds the label, and leaves every other line.
func requireOtherLinesKept(t *testing.T, args []string, out string) {
	t.Helper()
	for i, arg := range args {
		if arg != "-f" {
			continue
		}
		before, err := os.ReadFile(args[i+1])
		require.NoError(t, err)
		after, err := os.ReadFile(filepath.Join(out, filepath.Base(args[i+1])))
		require.NoError(t, err)
		diff, err := textdiff.Unified("before", string(before), "after", string(after))
		require.NoError(t, err)
		var gone []string
		for line := range strings.Lines(diff) {
			if removed, ok := strings.CutPrefix(line, "-"); ok {
				gone = append(gone, removed)
			}
			added, ok := strings.CutPrefix(line, "+")
			if !ok || strings.HasPrefix(line, "+++") || isPartOf(gone, added) {
				continue
			}
			require.Regexp(t, addedLine, strings.TrimRight(added, "\n"))
		}
	}
}

// isPartOf reports whether a line is what was left of another: of a list in brackets, or of what stood below a dash.
func isPartOf(lines []string, part string) bool {
	part = strings.TrimSpace(strings.TrimLeft(part, " -"))
	return slices.ContainsFunc(lines, func(line string) bool {
		rest := line
		for _, r := range part {
			_, after, found := strings.Cut(rest, string(r))
			if !found {
				return false
			}
			rest = after
		}
		return true
	})
}

func TestMigrateBadInput(t *testing.T) {
	pod := filepath.Join(repository, migrateCases, "tls-secret", "pod.yaml")
	cases := map[string]struct {
		args []string
		want string
	}{
		"no file":             {nil, "missing -f FILE"},
		"a file that is gone": {[]string{"-f", "/nowhere"}, "no such file or directory"},
		"a report unheard of": {[]string{"-f", pod, "--report", "xml"}, `--report "xml" is not accepted`},
		"an argument":         {[]string{"pod.yaml"}, "takes no arguments"},
		"a bad policy":        {[]string{"-f", pod, "--policy", pod}, "is no policy"},
		"no engine's file":    {[]string{"-f", pod, "--engine", "/nowhere"}, "no such file or directory"},
		"no cluster":          {[]string{"-f", pod, "--engine", "live", "--kubeconfig", "/nowhere"}, "finding the cluster"},
		"the same file twice": {[]string{"-f", pod, "-f", pod, "-o", t.TempDir()}, "two files are named pod.yaml"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, "", append([]string{"migrate"}, c.args...)...)
			require.Equal(t, exitBadInput, code, report)
			require.Contains(t, report, c.want)
			require.Empty(t, out)
		})
	}
}

func TestMigrateReadsStandardInputAndWritesJSON(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, migrateCases, "tls-secret", "pod.yaml"))
	require.NoError(t, err)
	out := t.TempDir()
	code, report, errs := execute(t, string(text), "migrate", "-f", "-", "-o", out, "--report", "json")
	require.Zero(t, code, errs)
	var parsed migrate.Report
	require.NoError(t, json.Unmarshal([]byte(report), &parsed))
	require.Equal(t, migrate.Equal, parsed.Files[0].Workloads[0].Outcome)
	require.Equal(t, "ci", parsed.Policies[0].Namespace)
	require.FileExists(t, filepath.Join(out, "stdin.yaml"))

	// The policy that it writes is one, and with it the stripped pod gets the engine that it had.
	policy := filepath.Join(out, "dagger-inject-policy-ci.yaml")
	code, injected, errs := execute(t, "", "inject", "-f", filepath.Join(out, "stdin.yaml"), "--namespace-policy", policy)
	require.Zero(t, code, errs)
	require.Contains(t, injected, "tls://engine.acme.example:443")
}
