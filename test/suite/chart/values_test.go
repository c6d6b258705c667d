package chart

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/internal/chartdoc"
)

// TestEveryValueIsOfUse goes through the schema: each value is set by a case, and what is rendered is another without it.
func TestEveryValueIsOfUse(t *testing.T) {
	rendered := map[string]map[string]string{}
	for name, set := range cases(t) {
		var err error
		rendered[name], err = render4(set)
		require.NoError(t, err, name)
	}
	paths := schemaPaths(t)
	for _, path := range paths {
		var useful bool
		for name, set := range cases(t) {
			if !remove(set, path) {
				continue
			}
			without, err := render4(set)
			useful = useful || err != nil || !maps.Equal(rendered[name], without)
		}
		require.True(t, useful, "no case in testdata shows what %s is for", strings.Join(path, "."))
	}
}

// schemaPaths returns the paths of the values that the schema knows, and checks that they are those of values.yaml.
func schemaPaths(t *testing.T) [][]string {
	t.Helper()
	var schema map[string]any
	text, err := os.ReadFile(chartDir + "/values.schema.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &schema))
	text, err = os.ReadFile(chartDir + "/values.yaml")
	require.NoError(t, err)
	documented, err := chartdoc.Values(text)
	require.NoError(t, err)
	known := map[string]bool{}
	for _, value := range documented {
		known[value.Path] = true
	}
	var paths [][]string
	var walk func(schema map[string]any, path []string)
	walk = func(schema map[string]any, path []string) {
		if len(path) > 0 && known[strings.Join(path, ".")] {
			paths = append(paths, path)
			return
		}
		properties, ok := schema["properties"].(map[string]any)
		require.True(t, ok, "%v is in the schema and not in values.yaml", path)
		require.Equal(t, false, schema["additionalProperties"], "%v", path)
		for name, property := range properties {
			if len(path) > 0 || name != "global" { // Helm's own
				walk(property.(map[string]any), append(slices.Clone(path), name))
			}
		}
	}
	walk(schema, nil)
	require.Len(t, paths, len(documented))
	return paths
}

// remove takes a value out, and reports whether it was there.
func remove(set values, path []string) bool {
	for _, name := range path[:len(path)-1] {
		next, ok := set[name].(map[string]any)
		if !ok {
			return false
		}
		set = next
	}
	_, there := set[path[len(path)-1]]
	delete(set, path[len(path)-1])
	return there
}

func TestWrongValuesAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ set, says string }{
		"an unknown value":            {"replica: 2", "'replica' not allowed"},
		"an unknown nested value":     {"image: {name: x}", "'name' not allowed"},
		"a value of another type":     {"replicas: two", "/replicas"},
		"a policy with a wrong field": {"policy: {engine: {transprt: tcp}}", "'transprt' not allowed"},
		"a policy with a wrong value": {"policy: {engine: {transport: carrier-pigeon}}", "/policy/engine/transport"},
		"a profile with a wrong one":  {"profiles: {large: {cli: {delivery: post}}}", "/profiles/large/cli/delivery"},
		"a profile of no name":        {"profiles: {policy: {}}", "propertyName 'policy'"},
		"a misspelt toleration":       {"tolerations: [{kez: a}]", "'kez' not allowed"},
		"a reader of no kind known":   {"policyReaders: [{group: devs}]", "'group' not allowed"},
		"the kubelet's port":          {"hostNetwork: true", "10250 is the kubelet's"},
		"too short a grace period":    {"terminationGracePeriodSeconds: 30", "must be at least 40"},
		"no CA for a Secret":          {"certificates: {mode: existingSecret}", "certificates.caBundle is empty"},
		"a check that would refuse":   {"notInjectedPolicy: {actions: [Deny]}", "/notInjectedPolicy/actions/0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render4(parse(t, c.set))
			require.ErrorContains(t, err, c.says)
			_, err = render3(parse(t, c.set))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestSubchartsShareGlobalValues(t *testing.T) {
	_, err := render4(parse(t, "global: {anything: true}"))
	require.NoError(t, err)
}

func TestRenderingIsDeterministic(t *testing.T) {
	for name, set := range cases(t) {
		first, err := render4(set)
		require.NoError(t, err)
		second, err := render4(set)
		require.NoError(t, err)
		require.Equal(t, first, second, name)
	}
	files, err := os.ReadDir(chartDir + "/templates")
	require.NoError(t, err)
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		text, err := os.ReadFile(chartDir + "/templates/" + file.Name())
		require.NoError(t, err)
		require.NotRegexp(t, regexp.MustCompile(`\b(lookup|now|date|gen[A-Z]\w+|rand\w+|uuidv4|Capabilities|IsUpgrade|IsInstall|Revision)\b`),
			string(text), file.Name())
	}
}

func TestKubernetesVersions(t *testing.T) {
	var chart struct{ KubeVersion string }
	text, err := os.ReadFile(chartDir + "/Chart.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &chart))
	for version, accepted := range map[string]bool{"v1.29.9": false, "v1.30.0-gke.100": true, "v1.30.0": true, "v1.36.3": true,
		"v1.31.1-eks-abc": true} {
		require.Equal(t, accepted, chartutil.IsCompatibleRange(chart.KubeVersion, version), version)
	}
}

func TestAnUpgradeChangesNoSelectorAndNoNameOfTheCluster(t *testing.T) {
	selectors := func(set values) map[string]any {
		found := map[string]any{}
		for _, o := range objects(t, set) {
			text, err := json.Marshal(o)
			require.NoError(t, err)
			var fields struct {
				Spec struct{ Selector, PodSelector any }
			}
			require.NoError(t, json.Unmarshal(text, &fields))
			kind := o.GetObjectKind().GroupVersionKind().Kind
			switch kind {
			case "Deployment", "Service", "PodDisruptionBudget", "ServiceMonitor":
				found[kind] = fields.Spec.Selector
			case "NetworkPolicy":
				found[kind] = fields.Spec.PodSelector
			case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
				found[kind] = o.GetName()
			}
		}
		return found
	}
	want := selectors(cases(t)["everything"])
	require.Len(t, want, 7)
	for name, set := range cases(t) {
		for kind, selector := range selectors(set) {
			require.Equal(t, want[kind], selector, "%s: %s", name, kind)
		}
	}
}

func TestEveryObjectIsLabelled(t *testing.T) {
	for name, set := range cases(t) {
		for _, o := range objects(t, set) {
			id := name + ": " + o.GetObjectKind().GroupVersionKind().Kind + " " + o.GetName()
			require.Equal(t, release, o.GetLabels()["app.kubernetes.io/instance"], id)
			require.Equal(t, "Helm", o.GetLabels()["app.kubernetes.io/managed-by"], id)
			if name == "everything" {
				require.Equal(t, "ci", o.GetLabels()["team"], id)
				require.Equal(t, "ci", o.GetAnnotations()["example.com/owner"], id)
			}
		}
	}
}

func TestHooksGoAwayAgain(t *testing.T) {
	for name, set := range cases(t) {
		var hooks []client.Object
		for _, o := range objects(t, set) {
			if o.GetAnnotations()["helm.sh/hook"] != "" {
				hooks = append(hooks, o)
				require.Contains(t, o.GetAnnotations()["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded", name)
			}
		}
		require.NotEmpty(t, hooks)
	}
}
