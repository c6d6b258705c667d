package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject"
)

const policyHeader = "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n"

// write makes a file for a test and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLint(t *testing.T) {
	cluster := write(t, "cluster.yaml", policyHeader+"engine: {socket: {hostPath: /run/d}}\n")
	good := write(t, "good.yaml", policyHeader+"env: [{name: A, value: b}]\n")
	locked := write(t, "locked.yaml", policyHeader+"engine:\n  socket: {hostPath: /etc}\n")
	manifest := write(t, "manifest.yaml",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dagger-inject-policy, namespace: ci}\ndata:\n  policy.yaml: |\n    "+
			"apiVersion: inject.dagger.io/v1alpha1\n    kind: InjectionPolicy\n    onErr: auto\n  Big.yaml: ''\n---\napiVersion: v1\nkind: "+
			"Service\nmetadata: {name: other}\n")
	cases := map[string]struct {
		args []string
		code int
		want string
	}{
		"good":                   {[]string{cluster}, 0, ""},
		"a namespace's, alone":   {[]string{locked}, 0, ""},
		"a namespace's, layered": {[]string{"--cluster-policy", cluster, good}, 0, ""},
		"locked":                 {[]string{"--cluster-policy", cluster, good, locked}, 1, locked + ": line 4: engine.socket.hostPath: locked"},
		"a manifest":             {[]string{manifest}, 1, manifest + `: ConfigMap ci/dagger-inject-policy: key "Big.yaml": want policy.yaml`},
		"no policy at all":       {[]string{filepath.Join(repository, "test/data/fixtures/readme/pod.yaml")}, 2, ""},
		"no file":                {nil, 2, ""},
		"standard input":         {[]string{"-"}, 2, ""},
		"a list": {[]string{write(t, "list.yaml",
			"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: dagger-inject-policy, namespace: ci}, "+
				"data: {x: z}}]}")}, 1, `key "x"`},
		"a missing file": {[]string{"/nowhere.yaml"}, 2, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, "", append([]string{"lint"}, c.args...)...)
			require.Equal(t, c.code, code, out+report)
			require.Contains(t, out, c.want)
		})
	}
	code, out, report := execute(t, "", "inject", "-f", filepath.Join(repository, "test/data/fixtures/readme/pod.yaml"), "-o", "patch",
		"--namespace-labels", "dagger.io/inject=true", "--policy", filepath.Join(repository, "docs/samples/arc-socket.yaml"))
	require.Zero(t, code, report)
	require.Contains(t, out, "unix:///run/dagger/engine.sock", "the ConfigMap among other manifests")

	code, out, _ = execute(t, "", "lint", "--cluster-policy", cluster, locked, "-o", "json")
	require.Equal(t, 1, code)
	var findings []finding
	require.NoError(t, json.Unmarshal([]byte(out), &findings))
	require.Equal(t, locked, findings[0].File)
	require.Equal(t, 4, findings[0].Line)
	require.Equal(t, "engine.socket.hostPath", findings[0].Field)
}

func TestPolicyShow(t *testing.T) {
	cluster := write(t, "cluster.yaml",
		policyHeader+"engine: {socket: {hostPath: /run/d}, tcp: {address: 'a:1'}}\noverrides: {fromPods: [engine.transport, wait.enabled]}\n")
	team := write(t, "team.yaml", policyHeader+"engine: {tcp: {address: 'b:2'}}\nenv: [{name: A, value: \"on\"}]\n")
	pod := write(t, "pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {annotations: {dagger.io/transport: tcp, dagger.io/wait: 'false'}}, "+
		"spec: {containers: []}}")
	code, out, report := execute(t, "", "policy", "show", "--policy", cluster, "--namespace-policy", team, "--pod", pod)
	require.Zero(t, code, report)
	for _, want := range []string{
		"transport: tcp # pod: annotation dagger.io/transport",
		"# wait.enabled is set to nothing: pod: annotation dagger.io/wait",
		"hostPath: /run/d # cluster: " + cluster + ", line 3",
		"address: b:2 # namespace: " + team + ", line 3",
		"file: engine.sock # default",
		`value: "on"`,
	} {
		require.Contains(t, out, want)
	}

	locked := write(t, "locked.yaml",
		policyHeader+"engine: {socket: {group: 0}}\ncontainers: {include: []}\noverrides: {fromPods: []}\nscheduling: {nodeAffinity: {}}\n")
	code, out, _ = execute(t, "", "policy", "show", "--policy", locked)
	require.Zero(t, code)
	for _, path := range []string{"engine.socket.group", "containers.include", "overrides.fromPods", "scheduling.nodeAffinity"} {
		require.Contains(t, out, "# "+path+" is set to nothing: cluster: "+locked)
	}

	code, out, _ = execute(t, "", "policy", "show", "--policy", cluster, "-o", "json")
	require.Zero(t, code)
	var shown struct{ Origins map[string]inject.FieldOrigin }
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	require.Equal(t, inject.FieldOrigin{Origin: "cluster", Source: cluster, Line: 3}, shown.Origins["engine.tcp.address"])
	require.Equal(t, inject.FieldOrigin{Origin: "default"}, shown.Origins["onError"])

	for name, args := range map[string][]string{
		"no namespace":     {},
		"two":              {"a", "b"},
		"half of files":    {"--namespace-policy", team},
		"another output":   {"--policy", cluster, "-o", "table"},
		"a pod that is no": {"--policy", cluster, "--pod", cluster},
	} {
		code, _, report := execute(t, "", append([]string{"policy", "show"}, args...)...)
		require.Equal(t, exitBadInput, code, name+report)
	}
	code, _, report = execute(t, "", "policy", "show", "--policy", cluster, "--profile", "none")
	require.Equal(t, exitFailure, code)
	require.Contains(t, report, `there is no profile "none"`)
}
