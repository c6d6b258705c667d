package main

import (
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
		"AutoscalingRunnerSet": {"apiVersion: actions.github.com/v1alpha1\nkind: AutoscalingRunnerSet\nmetadata: {name: w}\n" +
			"spec:\n  githubConfigUrl: u\n  template:" +
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
