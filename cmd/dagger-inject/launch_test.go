//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
		return errors.New("this is a test")
	}
	code, out, report = execute(t, "", append([]string{"launch", path}, args...)...)
	if became != nil {
		require.Equal(t, 126, code, "what it has become has not ended: %s", report)
		code = 0
	}
	return became, code, out, report
}

const launcher = "#!/opt/dagger/inject/dagger-inject launch\n" +
	"# --command=/opt/dagger/bin/dagger --timeout=200ms --on-timeout=fail --expect-version=v0.21.8\n"

func TestDaggerRunsOnceAnEngineAnswers(t *testing.T) {
	socket := engineSocket(t, probe.Info{Version: "v0.21.8"}, 0)
	text := strings.Replace(launcher, "200ms", "1m", 1)
	became, code, out, report := launched(t, script(t, "unix://"+socket, text), "call", "--src=.", "--", "--help")
	require.Zero(t, code, report)
	require.Equal(t, []string{"/opt/dagger/bin/dagger", "call", "--src=.", "--", "--help"}, became)
	require.Empty(t, out, "standard output is dagger's own")
}

func TestWithoutAnEngineDaggerDoesNotRun(t *testing.T) {
	became, code, _, report := launched(t, script(t, "unix:///nowhere/engine.sock", launcher), "call", "test")
	require.Nil(t, became)
	require.Contains(t, report, "no engine to use at unix:///nowhere/engine.sock within 200ms")
	require.Equal(t, probe.CauseNoSocket.ExitCode(), code)
	for _, args := range [][]string{{}, {"run", "df", "-h"}, {"call", "--help"}, {"--progress=plain"}} {
		became, _, _, _ = launched(t, script(t, "unix:///nowhere/engine.sock", launcher), args...)
		require.Nil(t, became, "%q needs an engine", args)
	}
	text := strings.Replace(launcher, "fail", "continue", 1)
	became, _, _, report = launched(t, script(t, "unix:///nowhere/engine.sock", text), "call")
	require.Equal(t, []string{"/opt/dagger/bin/dagger", "call"}, became)
	require.Contains(t, report, "Continuing without an engine")
}

func TestASignalIsNotLost(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := launch(ctx, streams{out: io.Discard, err: io.Discard}, script(t, "", launcher), []string{"version"})
	require.ErrorIs(t, err, context.Canceled)
}

// TestTheCommandTakesTheProcess becomes a shell for real, in a process of its own.
func TestTheCommandTakesTheProcess(t *testing.T) {
	const asked = "TEST_LAUNCH"
	if path := os.Getenv(asked); path != "" {
		os.Exit(run(t.Context(), []string{"launch", path, "-c", `echo "$0 $TEST_LAUNCHED"; exit 7`, "a b"},
			streams{out: os.Stdout, err: os.Stderr}))
	}
	for command, want := range map[string]struct {
		code int
		out  string
	}{
		"/bin/sh":       {7, "a b yes\n"},
		"/nowhere":      {127, ""},
		os.TempDir():    {126, ""},
		"/bin/sh --new": {7, "a b yes\n"}, // a flag of a newer webhook
	} {
		process := exec.Command(os.Args[0], "-test.run=^TestTheCommandTakesTheProcess$")
		process.Env = append(os.Environ(), asked+"="+script(t, "", "#!x\n# --command="+command+"\n"), "TEST_LAUNCHED=yes")
		out, err := process.Output()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, want.code, exit.ExitCode(), "%s: %s", command, exit.Stderr)
		require.Equal(t, want.out, string(out))
	}
}

func TestWhatNeedsNoEngineDoesNotWait(t *testing.T) {
	for name, c := range map[string]struct {
		host string
		env  string
		args []string
	}{
		"the version":           {args: []string{"version"}},
		"flags, and a log-in":   {args: []string{"-s", "login"}},
		"help":                  {args: []string{"--help"}},
		"an engine elsewhere":   {args: []string{"--cloud", "call"}},
		"no host":               {host: "none", args: []string{"call"}},
		"a host of dagger's":    {host: "docker-container://engine", args: []string{"call"}},
		"another engine":        {env: "DAGGER_CLOUD_ENGINE", args: []string{"call"}},
		"in somebody's session": {env: "DAGGER_SESSION_PORT", args: []string{"call"}},
	} {
		t.Run(name, func(t *testing.T) {
			host := c.host
			switch host {
			case "":
				host = "unix:///nowhere/engine.sock"
			case "none":
				host = ""
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
		"#!x\n# --comand=/d\n":                 "--command is missing",
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
