package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/check"
)

const hostilePod = `
apiVersion: v1
kind: Pod
metadata:
  name: job
  namespace: ci
  labels: {dagger.io/inject: "true", sidecar.istio.io/inject: "true"}
  annotations: {dagger.io/containers: "build,other", dagger.io/status: "{}"}
  ownerReferences: [{apiVersion: batch/v1, kind: Job, name: job, uid: u, controller: true}]
spec:
  runtimeClassName: kata
  nodeSelector: {kubernetes.io/os: linux, pool: ci}
  tolerations: [{key: ci, operator: Equal, value: x, effect: NoSchedule}]
  imagePullSecrets: [{name: other}]
  volumes: [{name: run, hostPath: {path: /run}}, {name: bin, configMap: {name: c}}]
  initContainers: [{name: prepare, image: i}]
  containers:
  - {name: build, image: i, env: [{name: DAGGER_CLOUD_ENGINE, value: x}, {name: DAGGER_SESSION_PORT, value: "1"}]}
  - {name: other, image: i, volumeMounts: [{name: run, mountPath: /run}, {name: bin, mountPath: /usr/local/bin}]}
  - {name: wired, image: i, env: [{name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, value: "tcp://e:1"}]}
`

const hostilePolicy = `
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {transport: auto, discover: {namespace: dagger}}
cli: {image: "registry.dagger.io/engine:v0.20.8"}
wait: {image: w, timeout: 1m}
containers: {include: [build, other], exclude: [no]}
env: [{name: HTTP_PROXY, value: "http://proxy"}]
scheduling: {nodeSelector: {pool: engines}, tolerations: [{key: dagger, operator: Exists}]}
`

// strung returns a manifest once for every string in it, keys too, with the text put behind that string.
func strung(t *testing.T, manifest, text string) []string {
	t.Helper()
	var all []string
	for at := 0; ; at++ {
		var tree any
		require.NoError(t, yaml.Unmarshal([]byte(manifest), &tree))
		left := at
		tree = putBehind(tree, text, &left)
		if left >= 0 {
			return all
		}
		encoded, err := json.Marshal(tree)
		require.NoError(t, err)
		all = append(all, asciiJSON(string(encoded)))
	}
}

// putBehind puts the text behind the string that comes after so many others.
func putBehind(tree any, text string, left *int) any {
	switch node := tree.(type) {
	case string:
		if *left--; *left == -1 {
			return node + text
		}
	case []any:
		for i := range node {
			node[i] = putBehind(node[i], text, left)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			value := putBehind(node[key], text, left)
			delete(node, key)
			node[putBehind(key, text, left).(string)] = value
		}
	}
	return tree
}

// asciiJSON escapes what YAML's parsers take only escaped.
func asciiJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteRune('?')
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

const forged = "FORGED"

// requireHarmless holds text for people to what a terminal shows as it stands: no character that it acts upon but the newlines and
// tabs that are ours, and no line that a manifest made.
func requireHarmless(t *testing.T, input, output string) {
	t.Helper()
	for _, r := range output {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Fatalf("%q in %q, of %s", r, output, input)
		}
	}
	for line := range strings.Lines(output) {
		require.False(t, strings.HasPrefix(line, forged), "a line of the manifest's own: %q, of %s", output, input)
	}
}

// hostileCases are command lines, with what they read where FILE stands.
func hostileCases(t *testing.T) map[string]struct {
	manifest string
	args     []string
} {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	pod, policy := file("pod.yaml", hostilePod), file("policy.yaml", hostilePolicy)
	engine := filepath.Join(repository, "test/data/engines/v0.21.8-tolerations-affinity/manifests.yaml")
	text, err := os.ReadFile(engine)
	require.NoError(t, err)
	workload := ""
	for _, document := range strings.Split(string(text), "\n---") {
		if strings.Contains(document, "kind: DaemonSet") {
			workload = document
		}
	}
	require.NotEmpty(t, workload)
	return map[string]struct {
		manifest string
		args     []string
	}{
		"inject a pod":             {hostilePod, []string{"inject", "-f", "FILE", "--policy", policy, "--engine", engine, "-o", "diff"}},
		"inject by a policy":       {hostilePolicy, []string{"inject", "-f", pod, "--policy", "FILE", "--engine", engine, "-o", "diff"}},
		"inject by an engine":      {workload, []string{"inject", "-f", pod, "--policy", policy, "--engine", "FILE", "-o", "diff"}},
		"explain a pod":            {hostilePod, []string{"explain", "-f", "FILE", "--policy", policy, "--engine", engine}},
		"explain a policy":         {hostilePolicy, []string{"explain", "-f", pod, "--policy", "FILE", "--engine", engine}},
		"explain by an engine":     {workload, []string{"explain", "-f", pod, "--policy", policy, "--engine", "FILE"}},
		"explain a recorded pod":   {hostilePod, []string{"explain", "pod", "job", "-n", "ci", "--cluster", "FILE", "--policy", policy}},
		"lint":                     {hostilePolicy, []string{"lint", "FILE"}},
		"show a policy":            {hostilePolicy, []string{"policy", "show", "--policy", "FILE"}},
		"show a policy with a pod": {hostilePod, []string{"policy", "show", "--policy", policy, "--pod", "FILE"}},
		"read an engine":           {workload, []string{"engine", "-f", "FILE"}},
	}
}

// structured is the output of commands that write YAML where nothing else is asked for: its values are not for us to change.
var structured = map[string]bool{"show a policy": true, "show a policy with a pod": true}

func runHostile(t *testing.T, name string, args []string, manifest string) (code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hostile.json")
	require.NoError(t, os.WriteFile(file, []byte(manifest), 0o644))
	args = slices.Clone(args)
	args[slices.Index(args, "FILE")] = file
	code, out, report := execute(t, "", args...)
	requireHarmless(t, manifest, report)
	if structured[name] {
		// The bytes of control characters are escaped in YAML itself.
		require.Negative(t, strings.IndexFunc(out, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }), "%q", out)
		return code
	}
	requireHarmless(t, manifest, out)
	return code
}

func TestNothingInAManifestReachesTheTerminal(t *testing.T) {
	const text = "\n" + forged + " \x1b[2J\u009b31m\u202e\u007f\r\t\u2028"
	for name, c := range hostileCases(t) {
		t.Run(name, func(t *testing.T) {
			code := runHostile(t, name, c.args, c.manifest)
			require.Contains(t, []int{0, exitDoesNotApply, exitCannot}, code, "what is changed below must be fine as it is")
			for _, manifest := range strung(t, c.manifest, text) {
				runHostile(t, name, c.args, manifest)
			}
		})
	}
}

func TestNothingInAClusterReachesTheTerminal(t *testing.T) {
	const text = "\n" + forged + " \x1b[2J\u009b31m\u202e\u007f\r\t\u2028"
	sick, err := os.ReadFile(filepath.Join(repository, checkCases, "sick", "cluster.yaml"))
	require.NoError(t, err)
	webhooks := filepath.Join(repository, checkCases, "webhooks.yaml")
	engine := filepath.Join(repository, "test/data/engines/v0.21.8-default/manifests.yaml")
	documents := strings.Split(string(sick), "\n---\n")
	for i, document := range documents {
		for _, hostile := range strung(t, document, text) {
			cluster := slices.Clone(documents)
			cluster[i] = hostile
			file := filepath.Join(t.TempDir(), "cluster.yaml")
			require.NoError(t, os.WriteFile(file, []byte(strings.Join(cluster, "\n---\n")), 0o644))
			objects, err := readManifests([]string{file, webhooks, engine})
			if err != nil {
				continue
			}
			findings := check.Run(t.Context(), check.Options{
				Reader: objects, ReleaseNamespace: "dagger-inject", Now: checkNow, Version: "dev",
				Ask: func(context.Context) apicheck.Answer {
					return apicheck.Answer{Outcome: apicheck.Failed, Namespace: "ci", Said: text, Causes: []string{text}}
				},
			})
			var out bytes.Buffer
			_ = printFindings(streams{out: &out}, "", findings) // The error says that something fails.
			requireHarmless(t, hostile, out.String())
		}
	}
}

func FuzzTerminal(f *testing.F) {
	f.Add("\x1b]0;title\a", uint(7))
	f.Add("\u2066\n"+forged, uint(30))
	f.Fuzz(func(t *testing.T, text string, at uint) {
		cases := hostileCases(t)
		names := slices.Sorted(maps.Keys(cases))
		name := names[at%uint(len(names))]
		manifests := strung(t, cases[name].manifest, text)
		runHostile(t, name, cases[name].args, manifests[at/uint(len(names))%uint(len(manifests))])
	})
}
