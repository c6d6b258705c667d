package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/explain"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// explainCases is where each folder has a command line, args.txt, the files that it names, and what comes out. The folder
// itself has the webhooks as they are registered.
const explainCases = "test/data/explain"

// registered is the MutatingWebhookConfiguration, as its chart installs it.
func registered(t *testing.T) string {
	t.Helper()
	text, err := yaml.Marshal(registration.Configuration(func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{
			Service: &admissionregistrationv1.ServiceReference{Namespace: "dagger-inject", Name: "dagger-inject", Path: &path},
		}
	}, "dagger-inject"))
	require.NoError(t, err)
	return string(text)
}

func TestExplainGoldens(t *testing.T) {
	golden.Require(t, filepath.Join(repository, explainCases, "webhooks.yaml"), registered(t))
	cases, err := filepath.Glob(filepath.Join(repository, explainCases, "*", "args.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, file := range cases {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Chdir(dir) // files are named as the reader of the case sees them
			text, err := os.ReadFile("args.txt")
			require.NoError(t, err)
			args := append([]string{"explain"}, strings.Fields(string(text))...)
			code, out, report := execute(t, "", args...)
			golden.Require(t, "expected.txt", out+report+fmt.Sprintf("exit code %d\n", code))
			code2, asJSON, _ := execute(t, "", append(args, "-o", "json")...)
			require.Equal(t, code, code2)
			golden.Require(t, "expected.json", asJSON)
		})
	}
}

func TestExplainBadInput(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {dagger.io/inject: 'true'}}\nspec: {containers: [{name: a}]}\n"
	offline := []string{"--offline"}
	cases := map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"nothing to explain":   {"", nil, "missing what to explain: pod NAME, namespace NAME or -f FILE"},
		"something else":       {"", []string{"deployment", "x"}, `"deployment" cannot be explained: want pod NAME`},
		"no name":              {"", []string{"pod"}, "want one NAME after pod, got 0"},
		"both":                 {pod, []string{"pod", "x", "-f", "-"}, `-f FILE does not go with "pod"`},
		"an output unheard of": {pod, []string{"-f", "-", "-o", "table"}, `-o "table" is not accepted`},
		"nothing with a template": {"kind: Service\nmetadata: {name: s}\n", append([]string{"-f", "-"}, offline...),
			"-: nothing in it has a pod template"},
		"a wrong type": {strings.Replace(pod, "name: a", "name: [a]", 1), append([]string{"-f", "-"}, offline...),
			"spec.containers[0].name: want a string, got a list"},
		"a live pod by files": {"", append([]string{"pod", "x"}, offline...),
			"a pod that exists is read from the cluster, or from --cluster FILE"},
		"no cluster and no files":  {pod, []string{"-f", "-", "--kubeconfig", "/nowhere"}, "--policy, --engine or --cluster explain without one"},
		"a cluster that is absent": {pod, []string{"-f", "-", "--cluster", "/nowhere"}, "no such file or directory"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, c.stdin, append([]string{"explain"}, c.args...)...)
			require.Equal(t, exitBadInput, code, report)
			require.Contains(t, report, c.want)
			require.Empty(t, out)
		})
	}
}

// TestExplainSaysWhatInjectDoes holds the two commands together over every fixture.
func TestExplainSaysWhatInjectDoes(t *testing.T) {
	for _, c := range fixtures.All(t) {
		args := append([]string{"explain"}, c.Args()[1:]...)
		args = append(args, "--offline")
		code, out, report := execute(t, "", append(args, "-o", "json")...)
		var e explain.Explanation
		require.NoError(t, json.Unmarshal([]byte(out), &e), report)
		expected := c.Expected("expected.txt")
		require.Contains(t, expected, fmt.Sprintf("%s: %s (%s): ", e.Subject, e.Decision, e.Reason), c.Name)
		want := map[inject.Class]int{inject.ClassInjected: 0, inject.ClassDoesNotApply: exitDoesNotApply, inject.ClassCannot: exitCannot}
		require.Equal(t, want[e.Reason.Class()], code, c.Name)
		for _, warning := range e.Warnings {
			require.Contains(t, expected, warning, c.Name)
		}
	}
}
