package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestSeveralDocumentsAndLists(t *testing.T) {
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME, labels: {dagger.io/inject: 'true'}}\nspec: {containers: [{name: a, image: i}]}\n"
	input := "# only a comment\n---\n" + strings.Replace(pod, "NAME", "one", 1) +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: other}\n---\n" +
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n" +
		"- apiVersion: v1\n  kind: Pod\n  metadata: {name: two, labels: {dagger.io/inject: 'true'}}\n  spec: {containers: [{name: a}]}\n"
	code, out, report := execute(t, input, "inject", "-f", "-", "-o", "yaml")
	require.Zero(t, code, report)
	require.Equal(t, 2, strings.Count(out, "---\n"))
	require.Equal(t, []string{
		"Pod default/one: injected", "Service default/other: unchanged", "Secret default/s: unchanged", "Pod default/two: injected",
	}, heads(report))

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
	code, asYAML, _ := execute(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {dagger.io/inject: 'true'}}\n"+
		"spec:\n  containers:\n  - {name: a, env: &e [{name: X}]}\n  - {name: b, env: *e}\n",
		"inject", "-f", "-", "-o", "yaml")
	require.Zero(t, code)
	require.Equal(t, 2, strings.Count(asYAML, "name: _EXPERIMENTAL_DAGGER_RUNNER_HOST"))
}

// TestStringsStayStrings reads the YAML that is written as kubectl does, by the rules of YAML 1.1.
func TestStringsStayStrings(t *testing.T) {
	var env []string
	for i, value := range []string{
		"on", "NO", "y", "yes", "1:20", "1_000", "0o7", "null", "~", "1e3", "0b1", "2001-01-01", "\\ud83d\\ude00", "a: b", "=", "",
	} {
		env = append(env, `{"name":"V`+string(rune('A'+i))+`","value":"`+strings.ReplaceAll(value, `\\u`, `\u`)+`"}`)
	}
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a","env":[` + strings.Join(env, ",") + `]}]}}`
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(policy,
		[]byte("apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {tcp: {address: 'e:1'}}\n"+
			"env: [{name: OURS, value: 'off'}]\n"), 0o600))
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
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {dagger.io/inject: 'true'}}\n"+
			"spec:\n  containers:\n  - <<: {env: [{name: X, value: x}]}\n    name: a\n",
		"inject", "-f", "-", "-o", "json")
	require.Zero(t, code, report)
	require.Contains(t, out, "_EXPERIMENTAL_DAGGER_RUNNER_HOST")

	code, _, report = execute(t,
		`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"p","labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a"}]}}]}`,
		"inject", "-f", "-", "-o", "json")
	require.Zero(t, code, report)
	require.Equal(t, []string{"Pod default/p: injected"}, heads(report))
}
