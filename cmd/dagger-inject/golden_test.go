package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

var update = flag.Bool("update", false, "rewrite the golden files")

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
			if *update {
				c.Write(t, "expected.txt", report)
				c.Write(t, "expected.yaml", pod)
			}
			require.Equal(t, c.Expected("expected.txt"), report, "stale golden: see `make golden`")
			require.Equal(t, c.Expected("expected.yaml"), pod, "stale golden: see `make golden`")
		})
	}
}
