package policydoc

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

const (
	repository = "../.."
	header     = "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n"
)

func TestPublishedFiles(t *testing.T) {
	schema, reference, err := Generate(filepath.Join(repository, "config"))
	require.NoError(t, err)
	for name, want := range map[string][]byte{"policy.schema.json": schema, "policy.md": reference} {
		golden.Require(t, filepath.Join(repository, "docs", name), string(want))
	}
}

func TestSchemaAcceptsWhatIsPublished(t *testing.T) {
	v := newValidator(t)
	files, err := filepath.Glob(filepath.Join(repository, "docs/samples/*.yaml"))
	require.NoError(t, err)
	for _, file := range append(files, filepath.Join(repository, "config/default.yaml")) {
		policies := policiesIn(t, file)
		require.NotEmpty(t, policies, file)
		for name, policy := range policies {
			require.NoError(t, v.check(t, []byte(policy)), name)
		}
	}
}

// TestSchemaAcceptsTheFixtures leaves out those that are there to be refused.
func TestSchemaAcceptsTheFixtures(t *testing.T) {
	v := newValidator(t)
	files, err := filepath.Glob(filepath.Join(repository, "test/data/fixtures/*/*policy.yaml"))
	require.NoError(t, err)
	accepted := 0
	for _, file := range files {
		for name, policy := range policiesIn(t, file) {
			if _, err := config.Parse([]byte(policy)); err == nil {
				accepted++
				require.NoError(t, v.check(t, []byte(policy)), name)
			}
		}
	}
	require.Greater(t, accepted, 10)
}

// TestBothRefuse has what a schema can know. What it cannot is how fields depend on each other, across layers too.
func TestBothRefuse(t *testing.T) {
	v := newValidator(t)
	for name, document := range map[string]string{
		"a list":                      "- a",
		"no kind":                     "apiVersion: " + config.APIVersion,
		"another version":             "apiVersion: inject.dagger.io/v2\nkind: InjectionPolicy",
		"unknown field":               header + "engin: {}",
		"unknown field, further down": header + "engine: {socket: {color: red}}",
		"unknown field of Kubernetes": header + "env: [{name: A, from: b}]",
		"a source that is refused":    header + "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]",
		"claims":                      header + "cli: {image: i, resources: {claims: [{name: a}]}}",
		"a resource that is refused":  header + "cli: {image: i, resources: {limits: {nvidia.com/gpu: 1}}}",
		"a word for a number":         header + "engine: {socket: {group: many}}",
		"a number for a string":       header + "scheduling: {nodeSelector: {a: 1}}",
		"a number for a variable":     header + "env: [{name: A, value: 1}]",
		"yes for true":                header + "scheduling: {fromEngine: yes}",
		"a mapping for a list":        header + "env: {a: b}",
		"a list for a mapping":        header + "engine: []",
		"a transport unheard of":      header + "engine: {transport: udp}",
		"another case":                header + "onError: Refuse",
		"a level unheard of":          header + "podSecurity: {default: strict}",
		"an effect unheard of":        header + "scheduling: {tolerations: [{key: a, effect: Never}]}",
		"a toleration's Gt":           header + "scheduling: {tolerations: [{key: a, operator: Gt, value: '1'}]}",
		"an operator unheard of":      header + "namespaces: {selector: {matchExpressions: [{key: a, operator: Like}]}}",
		"an operator of fields":       header + affinity("{matchFields: [{key: metadata.name, operator: Exists}]}"),
		"no operator":                 header + affinity("{matchExpressions: [{key: a}]}"),
		"no terms": header +
			"scheduling: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
		"a weight out of range": header +
			"scheduling: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, preference: {matchExpressions: [{key: a, " +
			"operator: Exists}]}}]}}",
		"a group out of range":        header + "engine: {socket: {group: 2147483648}}",
		"a variable without a name":   header + "env: [{value: x}]",
		"a key without a Secret":      header + "env: [{name: A, valueFrom: {secretKeyRef: {key: a}}}]",
		"a quantity that is none":     header + "cli: {image: i, resources: {limits: {memory: 64Mb}}}",
		"a quantity below zero":       header + "cli: {image: i, resources: {limits: {memory: -1}}}",
		"a quantity that is true":     header + "cli: {image: i, resources: {limits: {memory: true}}}",
		"a relative path":             header + "engine: {socket: {hostPath: run/x}}",
		"a path going up":             header + "engine: {socket: {hostPath: /run/../etc}}",
		"a path with a dot":           header + "engine: {socket: {hostPath: /run/./x}}",
		"the whole host":              header + "engine: {socket: {hostPath: /}}",
		"a path with a colon":         header + "engine: {socket: {mountPath: '/a:b'}}",
		"a file with a directory":     header + "engine: {socket: {file: a/b}}",
		"no port":                     header + "engine: {tcp: {address: host}}",
		"port 0":                      header + "engine: {tcp: {address: 'host:0'}}",
		"IPv6 without brackets":       header + "engine: {tcp: {address: 'fd00::1:2555'}}",
		"an image that is none":       header + "cli: {image: ':::BAD@'}",
		"a wait's image that is none": header + "wait: {image: ':::BAD@'}",
		"a wait's end unheard of":     header + "wait: {onTimeout: ignore}",
		"a wait of no time":           header + "wait: {timeout: 0}",
		"a wait below zero":           header + "wait: {timeout: -1s}",
		"a duration without a unit":   header + "wait: {timeout: '120'}",
		"a wait's claims":             header + "wait: {resources: {claims: [{name: a}]}}",
		"a field that is no field":    header + "overrides: {fromNamespaces: [engine.color]}",
		"a field of the cluster's":    header + "overrides: {fromNamespaces: [overrides.fromPods]}",
		"a field that no pod can set": header + "overrides: {fromPods: [env]}",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse([]byte(document))
			require.Error(t, err, "package config")
			require.Error(t, v.check(t, []byte(document)), "the schema")
		})
	}
}

func affinity(term string) string {
	return "scheduling: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" + term + "]}}}"
}

var knowable = regexp.MustCompile(`^want (a string|a mapping|a list|an integer|true or false|a single value|an absolute path|at most|\d+ to)|` +
	`unknown field|accepted (is|are) |` + notYet)

// TestInStep puts values of every type at every field. What package config accepts, the schema must accept; a type or a value
// that it refuses for its own sake, the schema must refuse.
func TestInStep(t *testing.T) {
	v := newValidator(t)
	root, err := build(filepath.Join(repository, "config"))
	require.NoError(t, err)
	values := []any{nil, true, false, 0, 1, -1, 70000, 1.5, "", "a", "/a", "/a/..b", "/..", "a:1", "[fd00::1]:80", "1", "-1", "1Gi", "1e3",
		".5", "1s",
		[]any{}, []any{"a"}, []any{map[string]any{}}, make([]any, 300), map[string]any{}, map[string]any{"a": "b"}, map[string]any{"cpu": 1}}
	accepted, refused := 0, 0
	walk(root, func(f *field) {
		if f.path == "" {
			return
		}
		own := values
		for _, value := range f.values {
			own = append(own, value)
		}
		for _, value := range own {
			document := with(f.path, value)
			result := v.check(t, document)
			errs := refusals(document)
			if len(errs) == 0 {
				// A single value that is left out after its colon is allowed; an editor had better ask for it.
				if value != nil || f.fields != nil || f.item != nil {
					accepted++
					require.NoError(t, result, "%s: %v: accepted by package config", f.path, value)
				}
				continue
			}
			for _, e := range errs {
				if e.Path == concrete(f.path) && knowable.MatchString(e.Problem) {
					refused++
					require.Error(t, result, "%s: %v: package config has %s", f.path, value, e)
				}
			}
		}
	})
	require.Greater(t, accepted, 200)
	require.Greater(t, refused, 1000)
}

// TestNotSupportedYet holds for whatever is not supported yet, and for nothing once all is.
func TestNotSupportedYet(t *testing.T) {
	v := newValidator(t)
	root, err := build(filepath.Join(repository, "config"))
	require.NoError(t, err)
	reference := string(renderMarkdown(root))
	walk(root, func(f *field) {
		for _, value := range f.candidates() {
			if f.unsupported || slices.Contains(f.refused, fmt.Sprint(value)) {
				require.Error(t, v.check(t, with(f.path, value)), "%s: %v", f.path, value)
			}
		}
		if f.name != "" && f.instead != "" {
			require.Contains(t, f.remark(), "ot supported yet", f.path)
			require.Contains(t, schemaOf(f).Description, f.remark(), f.path)
			require.Contains(t, reference, f.description(), f.path)
		}
	})
}

// TestConstantsAreAccepted compares the constants of package config's types with what its validation names.
func TestConstantsAreAccepted(t *testing.T) {
	s, err := readSource(filepath.Join(repository, "config"))
	require.NoError(t, err)
	require.Len(t, s.constants, 8)
	for path, typ := range map[string]string{
		"engine.transport":    "Transport",
		"cli.delivery":        "Delivery",
		"wait.when":           "When",
		"wait.onTimeout":      "OnTimeout",
		"onError":             "OnError",
		"namespaces.podLabel": "PodLabel",
		"podSecurity.default": "PodSecurityLevel",

		"scheduling.cacheAffinity.key": "CacheKey",
	} {
		require.Equal(t, accepted(path, "?"), s.constants[typ], path)
	}
}

// TestDocsNameTheDefault compares the default that a doc comment names with the real one.
func TestDocsNameTheDefault(t *testing.T) {
	root, err := build(filepath.Join(repository, "config"))
	require.NoError(t, err)
	compared := 0
	walk(root, func(f *field) {
		_, named, ok := strings.Cut(f.doc, "Default: ")
		if !ok || f.fallback == nil || f.kind == kindList {
			return
		}
		compared++
		require.Regexp(t, "^"+regexp.QuoteMeta(strings.Trim(f.defaultText(), "`"))+`\b`, named, f.path)
	})
	require.Greater(t, compared, 5)
}
