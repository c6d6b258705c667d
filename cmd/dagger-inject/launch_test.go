//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

// script writes what a container has as its dagger, and clears what decides whether it waits.
func script(t *testing.T, host, text string) string {
	t.Helper()
	for _, name := range []string{"DAGGER_CLOUD_ENGINE", "DAGGER_SESSION_PORT"} {
		t.Setenv(name, "") // so that it is restored
		require.NoError(t, os.Unsetenv(name))
	}
	t.Setenv(inject.EnvRunnerHost, host)
	path := filepath.Join(t.TempDir(), "dagger")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

// launched runs the script's interpreter, which becomes no command here, and returns what it would have become.
func launched(t *testing.T, path string, args ...string) (became []string, code int, out, report string) {
	t.Helper()
	defer func(real func(string, []string, []string) error) { become = real }(become)
	become = func(_ string, args, _ []string) error {
		became = args
		return nil
	}
	code, out, report = execute(t, "", append([]string{"launch", path}, args...)...)
	return became, code, out, report
}

const launcher = "#!/opt/dagger/inject/dagger-inject launch\n# --command=/opt/dagger/bin/dagger --timeout=200ms --on-timeout=fail --expect-version=v0.21.8\n"

func TestDaggerRunsOnceAnEngineAnswers(t *testing.T) {
	socket := engineSocket(t, probe.Info{Version: "v0.21.8"}, 0)
	became, code, out, report := launched(t, script(t, "unix://"+socket, launcher), "call", "--src=.", "--", "--help")
	require.Zero(t, code, report)
	require.Equal(t, []string{"/opt/dagger/bin/dagger", "call", "--src=.", "--", "--help"}, became)
	require.Empty(t, out, "standard output is dagger's own")
}

func TestWithoutAnEngineDaggerDoesNotRun(t *testing.T) {
	became, code, _, report := launched(t, script(t, "unix:///nowhere/engine.sock", launcher), "call", "test")
	require.Nil(t, became)
	require.Contains(t, report, "no engine to use at unix:///nowhere/engine.sock within 200ms")
	require.Greater(t, code, exitBadInput, "the cause has a code of its own")
}

func TestWhatNeedsNoEngineDoesNotWait(t *testing.T) {
	for name, c := range map[string]struct {
		host string
		env  string
		args []string
	}{
		"no arguments":          {},
		"the version":           {args: []string{"version"}},
		"help":                  {args: []string{"call", "--help"}},
		"no host":               {host: "-", args: []string{"call"}},
		"a host of dagger's":    {host: "docker-container://engine", args: []string{"call"}},
		"another engine":        {env: "DAGGER_CLOUD_ENGINE", args: []string{"call"}},
		"in somebody's session": {env: "DAGGER_SESSION_PORT", args: []string{"call"}},
	} {
		t.Run(name, func(t *testing.T) {
			host := c.host
			if host == "" {
				host = "unix:///nowhere/engine.sock"
			}
			path := script(t, host, launcher)
			if c.env != "" {
				t.Setenv(c.env, "")
			}
			became, code, _, report := launched(t, path, c.args...)
			require.Zero(t, code, report)
			require.Equal(t, append([]string{"/opt/dagger/bin/dagger"}, c.args...), became)
		})
	}
}

func TestAScriptThatIsNotTheWebhooksIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "line 2: want a # and flags",
		"#!x\nexec dagger\n":                   "line 2: want a # and flags",
		"#!x\n# --comand=/d\n":                 "unknown flag: --comand",
		"#!x\n# --timeout=1s\n":                "--command is missing",
		"#!x\n# --command=/d --timeout=soon\n": "line 2: invalid argument",
	} {
		_, code, _, report := launched(t, script(t, "unix:///nowhere", text), "call")
		require.Equal(t, exitBadInput, code, text)
		require.Contains(t, report, want)
	}
	_, code, _, report := launched(t, filepath.Join(t.TempDir(), "none"), "call")
	require.Equal(t, exitBadInput, code)
	require.Contains(t, report, "no such file")
}

// TestTheInjectedScriptIsRead reads what pods are given.
func TestTheInjectedScriptIsRead(t *testing.T) {
	read := 0
	for _, c := range fixtures.All(t) {
		var pod corev1.Pod
		require.NoError(t, yaml.Unmarshal([]byte(c.Expected("expected.yaml")), &pod))
		text := pod.Annotations[inject.AnnotationLauncher]
		if len(text) == 0 || text[:4] == "#!/b" {
			continue
		}
		f, command, err := readScript(script(t, "", text))
		require.NoError(t, err)
		require.Equal(t, "/opt/dagger/bin/dagger", command)
		require.Equal(t, 2*time.Minute, f.timeout)
		require.Equal(t, "v0.21.8", f.expectVersion)
		read++
	}
	require.Equal(t, 1, read)
}
