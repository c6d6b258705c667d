package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEngineGoldens reads the official chart's own manifests, at many versions and settings: each folder of test/engines has
// the chart's output and what is read off it.
func TestEngineGoldens(t *testing.T) {
	manifests, err := filepath.Glob(filepath.Join(repository, "test/engines/*/manifests.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, manifests)
	for _, file := range manifests {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			code, out, notes := execute(t, "", "engine", "-f", file, "-o", "json")
			require.Zero(t, code, notes)
			for name, text := range map[string]string{"expected.json": out, "expected.txt": notes} {
				golden := filepath.Join(dir, name)
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), text, "stale golden: see `make golden`")
			}
		})
	}
}

func TestEngineThatCannotBeRead(t *testing.T) {
	const workload = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME}, spec: {template: {spec: {containers: [{name: CONTAINER, image: IMAGE}]}}}}\n"
	of := func(name, container, image string) string {
		return strings.NewReplacer("NAME", name, "CONTAINER", container, "IMAGE", image).Replace(workload)
	}
	cases := map[string]struct {
		manifests string
		args      []string
		code      int
		want      string
	}{
		"none":                   {of("web", "web", "nginx"), nil, 1, "none of the 1 workloads has a container dagger-engine or an image of the Dagger Engine"},
		"by image":               {of("own", "x", "mirror.example.com:5000/dagger/engine:v0.21.8"), nil, 0, "Deployment dagger/own"},
		"the name beats images":  {of("a", "dagger-engine", "any:v0.21.8") + "---\n" + of("b", "x", "dagger/engine:v0.19.0"), nil, 0, "Deployment dagger/a"},
		"two by name":            {of("b", "dagger-engine", "i") + "---\n" + of("a", "dagger-engine", "i"), nil, 1, "more than one workload is an engine: Deployment dagger/a, Deployment dagger/b"},
		"another namespace":      {of("a", "dagger-engine", "i"), []string{"-n", "other"}, 0, "Deployment other/a"},
		"not selected":           {of("a", "dagger-engine", "i"), []string{"-l", "a=b"}, 1, "none of the 0 workloads"},
		"a selector that is bad": {of("a", "dagger-engine", "i"), []string{"-l", "=="}, 2, "--selector"},
		"a wrong type":           {"{kind: Deployment, spec: []}", nil, 2, "standard input"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, c.manifests, append([]string{"engine", "-f", "-"}, c.args...)...)
			require.Equal(t, c.code, code, report)
			require.Contains(t, out+report, c.want)
		})
	}
}
