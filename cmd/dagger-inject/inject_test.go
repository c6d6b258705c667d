package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/internal/textdiff"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

func TestWorkloads(t *testing.T) {
	const spec = `
      spec:
        containers:
        - name: main
          image: i
          futureField: {n: 9007199254740993, f: 1.50}
`
	indent := func(by int) string { return strings.ReplaceAll(spec, "\n      ", "\n"+strings.Repeat(" ", by)) }
	template := func(by int) string {
		pad := strings.Repeat(" ", by)
		return "\n" + pad + "metadata: {labels: {dagger.io/inject: 'true'}}" + indent(by)
	}
	cases := map[string]struct{ object, containers string }{
		"Deployment": {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec:\n  replicas: 2\n  template:" + template(4),
			"spec.template.spec"},
		"StatefulSet": {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: w}\nspec:\n  template:" + template(4), "spec.template.spec"},
		"DaemonSet":   {"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: w}\nspec:\n  template:" + template(4), "spec.template.spec"},
		"Job":         {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: w}\nspec:\n  template:" + template(4), "spec.template.spec"},
		"CronJob": {"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: w}\nspec:\n  jobTemplate:\n    spec:\n      template:" +
			template(8), "spec.jobTemplate.spec.template.spec"},
		"AutoscalingRunnerSet": {"apiVersion: actions.github.com/v1alpha1\nkind: AutoscalingRunnerSet\nmetadata: {name: w}\nspec:\n  " +
			"githubConfigUrl: u\n  template:" +
			strings.ReplaceAll(template(4), "name: main", "name: runner"), "spec.template.spec"},
		"EphemeralRunner": {"apiVersion: actions.github.com/v1alpha1\nkind: EphemeralRunner\nmetadata: {name: w}\nspec:\n  githubConfigUrl: u" +
			strings.ReplaceAll(template(2), "name: main", "name: runner"), "spec.spec"},
		"RunnerSet": {"apiVersion: actions.summerwind.dev/v1alpha1\nkind: RunnerSet\nmetadata: {name: w}\nspec:\n  template:" +
			strings.ReplaceAll(template(4), "name: main", "name: runner"), "spec.template.spec"},
	}
	for kind, c := range cases {
		t.Run(kind, func(t *testing.T) {
			code, out, report := execute(t, c.object, "inject", "-f", "-", "-o", "yaml")
			require.Zero(t, code, report)
			require.Contains(t, report, kind+" default/w: injected (injected): ")
			require.Contains(t, out, "n: 9007199254740993, f: 1.50", "unknown fields keep their tokens")
			var tree any
			require.NoError(t, yaml.Unmarshal([]byte(out), &tree))
			for name := range strings.SplitSeq(c.containers, ".") {
				tree = tree.(map[string]any)[name]
			}
			podSpec := tree.(map[string]any)
			require.Len(t, podSpec["containers"].([]any)[0].(map[string]any)["env"], 2)
			require.Len(t, podSpec["initContainers"], 1)
		})
	}
}

func TestARunnerDeploymentIsWiredInItsSpec(t *testing.T) {
	code, out, report := execute(t, `
apiVersion: actions.summerwind.dev/v1alpha1
kind: RunnerDeployment
metadata: {name: w, namespace: ci}
spec:
  template:
    metadata: {labels: {dagger.io/inject: "true"}}
    spec:
      repository: acme/widgets   # whose jobs
`, "inject", "-f", "-", "-o", "yaml")
	require.Zero(t, code, report)
	require.Contains(t, out, "repository: acme/widgets # whose jobs", "comments survive")
	require.Contains(t, out, "_EXPERIMENTAL_DAGGER_RUNNER_HOST")
	require.NotContains(t, out, "containers:\n      - name: runner")
}

func TestSeveralDocumentsAndLists(t *testing.T) {
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, labels: {dagger.io/inject: 'true'}}\nspec: {containers: [{name: a, image: i}]}\n"
	input := "# only a comment\n---\n" + strings.Replace(pod, "NAME", "one", 1) +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: other}\n---\n" +
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n- apiVersion: v1\n  kind: Pod\n  metadata: " +
		"{name: two, labels: {dagger.io/inject: 'true'}}\n  spec: {containers: [{name: a}]}\n"
	code, out, report := execute(t, input, "inject", "-f", "-", "-o", "yaml")
	require.Zero(t, code, report)
	require.Equal(t, 2, strings.Count(out, "---\n"))
	require.Equal(t, []string{"Pod default/one: injected", "Service default/other: unchanged", "Secret default/s: unchanged",
		"Pod default/two: injected"}, heads(report))

	code, patches, _ := execute(t, input, "inject", "-f", "-", "-o", "patch")
	require.Zero(t, code)
	require.Contains(t, patches, `"path": "/items/1/spec/containers/0/env"`)

	code, again, report := execute(t, out, "inject", "-f", "-", "-o", "yaml")
	require.Zero(t, code)
	require.Equal(t, out, again, "what is injected stays as it is")
	require.Contains(t, report, "Pod default/one: injected (already_injected)")
}

// heads returns the subject and the decision of each line.
func heads(report string) []string {
	var heads []string
	for line := range strings.Lines(strings.TrimSpace(report)) {
		parts := strings.SplitN(line, ": ", 3)
		word, _, _ := strings.Cut(parts[1], " ")
		heads = append(heads, parts[0]+": "+word)
	}
	return heads
}

func TestOutputFormatsAgree(t *testing.T) {
	for _, c := range fixtures.All(t) {
		code, asYAML, _ := execute(t, "", append(c.Args(), "-o", "yaml")...)
		require.Zero(t, code)
		code, asJSON, _ := execute(t, "", append(c.Args(), "-o", "json")...)
		require.Zero(t, code)
		converted, err := yaml.YAMLToJSON([]byte(asYAML))
		require.NoError(t, err)
		require.JSONEq(t, asJSON, string(converted), c.Name)

		code, fromJSON, _ := execute(t, string(c.Pod(t)), append(c.Args(), "-f", "-", "-o", "json")...)
		require.Zero(t, code)
		require.JSONEq(t, asJSON, fromJSON, "the same pod as JSON")
	}
}

func TestADiffHasOnlyAdditionsAndNoColourInAFile(t *testing.T) {
	c := fixtures.All(t)[0]
	code, diff, _ := execute(t, "", append(c.Args(), "-o", "diff")...)
	require.Zero(t, code)
	require.NotContains(t, diff, "\x1b[")
	added := 0
	for line := range strings.Lines(diff) {
		if strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++") {
			added++
		}
		if strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "---") {
			require.True(t, strings.HasSuffix(line, ": {}\n"), "only what was empty is written anew: %s", line)
		}
	}
	require.Greater(t, added, 20)
	require.Contains(t, textdiff.Colour(diff), "\x1b[32m+")
}

func TestAnAnchorIsNotSharedWithOtherPlaces(t *testing.T) {
	code, out, report := execute(t, `
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {dagger.io/inject: "true"}, annotations: {dagger.io/containers: a}}
spec:
  containers:
  - {name: a, image: i, env: &shared [{name: X, value: "1"}]}
  - {name: b, image: i, env: *shared}
`, "inject", "-f", "-", "-o", "json")
	require.Zero(t, code, report)
	var pod struct {
		Spec struct {
			Containers []struct{ Env []any }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &pod))
	require.Len(t, pod.Spec.Containers[0].Env, 3)
	require.Len(t, pod.Spec.Containers[1].Env, 1)
	code, asYAML, _ := execute(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {dagger.io/inject: 'true'}}\nspec:\n  "+
		"containers:\n  - {name: a, env: &e [{name: X}]}\n  - {name: b, env: *e}\n",
		"inject", "-f", "-", "-o", "yaml")
	require.Zero(t, code)
	require.Equal(t, 2, strings.Count(asYAML, "name: _EXPERIMENTAL_DAGGER_RUNNER_HOST"))
}

// TestBadInput has what a user reads, and the exit code 2: which file, which document, which field.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	require.NoError(t, os.WriteFile(policy, []byte("apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {sockets: {}}\n"),
		0o600))
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
		"not an object":          {pod + "---\n- a\n", []string{"inject", "-f", "-"}, "standard input: document 2: want a Kubernetes object"},
		"not JSON":               {`{"kind": "Pod",`, []string{"inject", "-f", "-"}, "standard input: invalid JSON at byte 15"},
		"two documents in one":   {pod + "...\n" + pod, []string{"inject", "-f", "-"}, "another document follows without a line of three dashes"},
		"a duplicate key":        {pod + "kind: Pod\n", []string{"inject", "-f", "-"}, `key "kind" already set in map`},
		"a duplicate key, JSON": {`{"kind":"Pod","kind":"Pod"}`, []string{"inject", "-f", "-"},
			`standard input: invalid JSON at byte 14: member "kind" appears twice`},
		"no kind": {"a: b\n", []string{"inject", "-f", "-"}, "kind: missing"},
		"a wrong type": {pod + "---\n" + strings.Replace(pod, "name: a", "name: [a]", 1), []string{"inject", "-f", "-"},
			"document 2: Pod default/p: spec.containers[0].name: want a string, got a list"},
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
			"Pod arc-runner-set-x7k2m is no policy: want apiVersion: inject.dagger.io/v1alpha1 and kind: InjectionPolicy, or a ConfigMap " +
				"dagger-inject-policy"},
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

// TestNoDocumentIsLost has the ways in which documents can begin.
func TestNoDocumentIsLost(t *testing.T) {
	pod := func(name string) string {
		return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]}}"
	}
	cases := map[string]string{
		"comments after the dashes": pod("one") + "\n--- # second\n" + pod("two"),
		"on the line of the dashes": pod("one") + "\n--- " + pod("two"),
		"a directive":               "%YAML 1.1\n---\n" + pod("one") + "\n---\t\n" + pod("two"),
		"Windows line ends":         "---\r\n" + pod("one") + "\r\n---\r\n" + pod("two") + "\r\n",
		"flow style first":          pod("one") + "\n---\n" + pod("two") + "\n",
	}
	for name, input := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, input, "inject", "-f", "-", "-o", "yaml")
			require.Zero(t, code, report)
			require.Equal(t, []string{"Pod default/one: injected", "Pod default/two: injected"}, heads(report))
			require.Equal(t, 2, strings.Count(out, "_EXPERIMENTAL_DAGGER_RUNNER_HOST"))
		})
	}
}

// TestStringsStayStrings reads the YAML that is written as kubectl does, by the rules of YAML 1.1.
func TestStringsStayStrings(t *testing.T) {
	var env []string
	for i, value := range []string{"on", "NO", "y", "yes", "1:20", "1_000", "0o7", "null", "~", "1e3", "0b1", "2001-01-01", "\\ud83d\\ude00",
		"a: b", "=", ""} {
		env = append(env, `{"name":"V`+string(rune('A'+i))+`","value":"`+strings.ReplaceAll(value, `\\u`, `\u`)+`"}`)
	}
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a","env":[` + strings.Join(env, ",") + `]}]}}`
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(policy,
		[]byte("apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {tcp: {address: 'e:1'}}\nenv: [{name: OURS, "+
			"value: 'off'}]\n"), 0o600))
	code, asYAML, report := execute(t, pod, "inject", "-f", "-", "--policy", policy, "-o", "yaml")
	require.Zero(t, code, report)
	_, asJSON, _ := execute(t, pod, "inject", "-f", "-", "--policy", policy, "-o", "json")
	converted, err := yaml.YAMLToJSON([]byte(asYAML))
	require.NoError(t, err)
	require.JSONEq(t, asJSON, string(converted))
	code, again, report := execute(t, asYAML, "inject", "-f", "-", "--policy", policy, "-o", "yaml")
	require.Zero(t, code, report)
	require.Equal(t, asYAML, again)
}

func TestMergeKeysAndListsOfOneKind(t *testing.T) {
	code, out, report := execute(t,
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {dagger.io/inject: 'true'}}\nspec:\n  containers:\n  - <<: {env: [{name: X, "+
			"value: x}]}\n    name: a\n",
		"inject", "-f", "-", "-o", "json")
	require.Zero(t, code, report)
	require.Contains(t, out, "_EXPERIMENTAL_DAGGER_RUNNER_HOST")

	code, _,
		report = execute(t,
		`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"p","labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a"}]}}]}`,
		"inject", "-f", "-", "-o", "json")
	require.Zero(t, code, report)
	require.Equal(t, []string{"Pod default/p: injected"}, heads(report))
}
