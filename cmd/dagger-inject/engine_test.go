package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

// TestEngineGoldens reads the official chart's own manifests, at many versions and settings: each folder of test/data/engines has
// the chart's output and what is read off it.
func TestEngineGoldens(t *testing.T) {
	manifests, err := filepath.Glob(filepath.Join(repository, "test/data/engines/*/manifests.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, manifests)
	for _, file := range manifests {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			args := []string{"engine", "-f", file}
			if more, err := os.ReadFile(filepath.Join(dir, "args.txt")); err == nil {
				args = append(args, strings.Fields(string(more))...)
			}
			code, out, notes := execute(t, "", append(args, "-o", "json")...)
			require.Zero(t, code, notes)
			_, table, _ := execute(t, "", args...)
			golden.Require(t, filepath.Join(dir, "expected.json"), out)
			golden.Require(t, filepath.Join(dir, "expected.txt"), table+notes)
		})
	}
}

func TestEngineThatCannotBeRead(t *testing.T) {
	const workload = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME}, spec: {template: {spec: " +
		"{containers: [{name: CONTAINER, image: IMAGE}]}}}}\n"
	of := func(name, container, image string) string {
		return strings.NewReplacer("NAME", name, "CONTAINER", container, "IMAGE", image).Replace(workload)
	}
	cases := map[string]struct {
		manifests string
		args      []string
		code      int
		want      string
	}{
		"none": {of("web", "web", "nginx"), nil, 1,
			"namespace dagger: none of the 1 workloads has a container dagger-engine or an image of the Dagger Engine; " +
				"look elsewhere with --namespace"},
		"by image": {of("own", "x", "mirror.example.com:5000/dagger/engine:v0.21.8"), nil, 0, "Deployment dagger/own"},
		"the name beats images": {of("a", "dagger-engine", "any:v0.21.8") + "---\n" + of("b", "x", "dagger/engine:v0.19.0"), nil, 0,
			"Deployment dagger/a"},
		"one of two": {of("b", "dagger-engine", "i") + "---\n" + of("a", "dagger-engine", "i"), []string{"b"}, 0,
			"engine        Deployment dagger/b"},
		"none of two": {of("b", "dagger-engine", "i") + "---\n" + of("a", "dagger-engine", "i"), []string{"c"}, 1,
			"c is no engine: there is Deployment dagger/a, Deployment dagger/b"},
		"none anywhere":     {of("web", "web", "nginx"), []string{"-A"}, 1, "no namespace has a workload with a container dagger-engine"},
		"files that change": {"", []string{"--watch"}, 2, "--watch goes with a cluster"},
		"another namespace": {of("a", "dagger-engine", "i"), []string{"-n", "other"}, 0, "Deployment other/a"},
		"not selected": {of("a", "dagger-engine", "i"), []string{"-l", "a=b"}, 1,
			"namespace dagger, labels a=b: none of the 0 workloads"},
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

// TestInjectFindsTheEngineOfEachPodsNamespace has two pods of two namespaces in one stream, under one policy.
func TestInjectFindsTheEngineOfEachPodsNamespace(t *testing.T) {
	const daemonSet = "{kind: DaemonSet, metadata: {name: e, namespace: NS}, spec: {template: {spec: {containers: [{name: dagger-engine, " +
		"image: 'e:NS', volumeMounts: [{name: r, mountPath: /run/dagger}]}], volumes: [{name: r, hostPath: {path: /run/NS}}]}}}}\n"
	const pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: NS, labels: {dagger.io/inject: 'true'}}, " +
		"spec: {containers: [{name: a}]}}\n"
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	of := func(text string) string {
		return strings.ReplaceAll(text, "NS", "team-a") + "---\n" + strings.ReplaceAll(text, "NS", "team-b")
	}
	policy := write("policy.yaml", "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {discover: {ownNamespace: true}}\n")
	args := []string{"inject", "-f", "-", "--policy", policy, "--engine", write("engines.yaml", of(daemonSet))}
	code, out, report := execute(t, of(pod), args...)
	require.Zero(t, code, report)
	require.Contains(t, out, "path: /run/team-a")
	require.Contains(t, out, "path: /run/team-b")
	require.Contains(t, report, "dagger from e:team-b")

	_, _, report = execute(t, strings.ReplaceAll(pod, "NS", "other"), args...)
	require.Contains(t, report, "refused (no_engine)")
	require.Contains(t, report, "namespace other: none of the 0 workloads")
}

func TestTheServersVersionOffline(t *testing.T) {
	const pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]}}\n"
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(policy,
		[]byte("apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\nengine: {tcp: {address: 'e:1'}}\n"+
			"cli: {delivery: image-volume, image: 'i:1'}\n"), 0o600))
	for version, want := range map[string]string{"": `"cli":"image-volume"`, "1.35": `"cli":"image-volume"`,
		"v1.34.3": `"cli":"init-container","cliBecause":"the API server has no image volumes`} {
		args := []string{"inject", "-f", "-", "--policy", policy}
		if version != "" {
			args = append(args, "--kube-version", version)
		}
		code, out, report := execute(t, pod, args...)
		require.Zero(t, code, report)
		require.Contains(t, out, want, version)
	}
	code, _, report := execute(t, pod, "inject", "-f", "-", "--kube-version", "latest")
	require.Equal(t, 2, code)
	require.Contains(t, report, `--kube-version "latest" is not a version: want major.minor, as in 1.36`)
}
