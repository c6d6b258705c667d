package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBadInput has what a user reads, and the exit code 2: which file, which document, which field.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	const text = "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {sockets: {}}\n"
	require.NoError(t, os.WriteFile(policy, []byte(text), 0o600))
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {dagger.io/inject: 'true'}}\nspec: {containers: [{name: a}]}\n"
	cases := map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no file given":          {"", []string{"inject"}, "missing -f FILE"},
		"a file that is missing": {"", []string{"inject", "-f", filepath.Join(dir, "none.yaml")}, "no such file or directory"},
		"nothing in it":          {"# nothing\n", []string{"inject", "-f", "-"}, "standard input has no object in it"},
		"not YAML":               {"a: [", []string{"inject", "-f", "-"}, "standard input: document 1: yaml: line 1"},
		"not YAML, below":        {pod + "---\na: [", []string{"inject", "-f", "-"}, "standard input: document 2: yaml: line 6"},
		"not an object":          {pod + "---\n- a\n", []string{"inject", "-f", "-"}, "standard input: document 2: want a Kubernetes object"},
		"not JSON":               {`{"kind": "Pod",`, []string{"inject", "-f", "-"}, "standard input: invalid JSON at byte 15"},
		"two documents in one":   {pod + "...\n" + pod, []string{"inject", "-f", "-"}, "another document follows without a line of three dashes"},
		"a duplicate key":        {pod + "kind: Pod\n", []string{"inject", "-f", "-"}, `key "kind" already set in map`},
		"a duplicate key, JSON": {`{"kind":"Pod","kind":"Pod"}`, []string{"inject", "-f", "-"},
			`standard input: invalid JSON at byte 14: member "kind" appears twice`},
		"no kind": {"a: b\n", []string{"inject", "-f", "-"}, "kind: missing"},
		"a wrong type": {pod + "---\n" + strings.Replace(pod, "name: a", "name: [a]", 1), []string{"inject", "-f", "-"},
			"document 2: line 9: Pod default/p: spec.containers[0].name: want a string, got a list"},
		"a wrong type in a template": {"kind: Job\nmetadata: {name: j}\nspec: {template: {metadata: {labels: 1}, spec: {containers: []}}}\n",
			[]string{"inject", "-f", "-"},
			"Job default/j: spec.template.metadata.labels: want an object, got a number"},
		"an output unheard of": {pod, []string{"inject", "-f", "-", "-o", "table"},
			`-o "table" is not accepted: accepted is yaml, json, patch or diff`},
		"an unknown flag": {pod, []string{"inject", "--file-name", "x"}, "unknown flag: --file-name (see dagger-inject inject --help)"},
		"an argument":     {pod, []string{"inject", "pod.yaml"}, `dagger-inject inject takes no arguments, got "pod.yaml"`},
		"a policy that is bad": {pod, []string{"inject", "-f", "-", "--policy", policy},
			policy + ": line 3: engine.sockets: unknown field: did you mean socket?"},
		"a policy not there": {pod, []string{"inject", "-f", "-", "--policy", dir + "/none"}, "reading the policy: open"},
		"a policy that is none": {pod, []string{"inject", "-f", "-", "--policy", filepath.Join(repository, "test/data/fixtures/readme/pod.yaml")},
			"Pod arc-runner-set-x7k2m is no policy: " +
				"want apiVersion: inject.dagger.io/v1alpha1 and kind: InjectionPolicy, or a ConfigMap dagger-inject-policy"},
		"a bad label":            {pod, []string{"inject", "-f", "-", "--namespace-labels", "a"}, "a must be formatted as key=value"},
		"a kubeconfig not there": {"", []string{"check", "--kubeconfig", dir + "/none"}, "finding the cluster: stat"},
		"a command unheard of":   {"", []string{"injekt"}, `unknown command "injekt": did you mean inject?`},
		"a part of one":          {"", []string{"policy", "shw"}, `unknown command "shw": did you mean show?`},
		"none of check's":        {"", []string{"check", "pods"}, `unknown command "pods": see dagger-inject check --help`},
		"a port out of range":    {"", []string{"webhook", "--standalone", "--port", "0"}, "--port 0 is not accepted: want 1 to 65535"},
		"a host that is none":    {"", []string{"webhook", "--standalone", "--host-ip", "node-1"}, `--host-ip "node-1" is not an IP address`},
		"a flag of standalone":   {"", []string{"webhook", "--namespace-labels", "a=b"}, "--namespace-labels goes with --standalone"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, c.stdin, c.args...)
			require.Equal(t, exitBadInput, code)
			require.Contains(t, report, c.want)
			require.Empty(t, out, "half an output would be taken for a whole one")
		})
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	root := newRoot(streams{})
	for _, cmd := range append(root.Commands(), root) {
		require.NotEmpty(t, cmd.Short, cmd.Name())
		require.NotEmpty(t, cmd.Example, cmd.Name())
	}
}

func TestVersion(t *testing.T) {
	code, out, _ := execute(t, "", "version", "-o", "json")
	require.Zero(t, code)
	var v versionInfo
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Equal(t, version, v.Version)
}
