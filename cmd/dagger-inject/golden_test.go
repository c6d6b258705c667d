package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// execute runs one command line and returns what it printed.
func execute(t *testing.T, stdin string, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, streams{in: strings.NewReader(stdin), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestGoldens(t *testing.T) {
	for _, c := range fixtures.All(t) {
		t.Run(c.Name, func(t *testing.T) {
			code, pod, report := execute(t, "", append(c.Args(), "-o", "yaml")...)
			require.Zero(t, code, report)
			_, operations, _ := execute(t, "", append(c.Args(), "-o", "patch")...)
			if strings.TrimSpace(operations) == "[]" {
				pod = "" // nothing changes: there is no second pod to keep
			}
			golden.Require(t, filepath.Join(c.Dir, "expected.txt"), report)
			golden.Require(t, filepath.Join(c.Dir, "expected.yaml"), pod)
		})
	}
}
