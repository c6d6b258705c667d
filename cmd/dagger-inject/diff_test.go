package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// TestDiffGoldens compares fleets in manifests: each folder of test/data/diff has a command line, args.txt, the files that it names,
// and what comes out.
func TestDiffGoldens(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(repository, "test/data/diff/*/args.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Chdir(filepath.Dir(file))
			text, err := os.ReadFile("args.txt")
			require.NoError(t, err)
			code, out, report := execute(t, "", append([]string{"diff"}, strings.Fields(string(text))...)...)
			golden.Require(t, "expected.txt", out+report+fmt.Sprintf("exit code %d\n", code))
		})
	}
}

func TestDiffBadInput(t *testing.T) {
	cluster := filepath.Join(repository, "test/data/diff/fleet/cluster.yaml")
	wrong := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(wrong, []byte("apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengin: {}\n"), 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a policy that is invalid":     {[]string{"--policy", wrong}, "line 3: engin: unknown field: did you mean engine?"},
		"a policy that does not exist": {[]string{"--policy", "nowhere.yaml"}, "reading the policy"},
		"an output that is unknown":    {[]string{"-o", "xml"}, "xml"},
		"an argument":                  {[]string{"pods"}, "pods"},
	} {
		code, _, report := execute(t, "", append([]string{"diff", "--cluster", cluster}, c.args...)...)
		require.Equal(t, exitBadInput, code, name)
		require.Contains(t, report, c.want, name)
	}
}
