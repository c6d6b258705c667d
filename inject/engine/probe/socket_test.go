package probe_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe/probetest"
)

// probeAs names the variable that makes the test binary a probe of its host, for the sake of another uid.
const probeAs = "PROBE_TEST_HOST"

func TestMain(m *testing.M) {
	raw, set := os.LookupEnv(probeAs)
	if !set {
		os.Exit(m.Run())
	}
	host, err := probe.ParseHost(raw)
	if err == nil {
		_, err = probe.Probe(context.Background(), host)
	}
	if err != nil {
		fmt.Println(err)
	}
}

func TestProbeSocketFiles(t *testing.T) {
	dir := socketDir(t)
	at := func(name string) string { return "unix://" + filepath.Join(dir, name) }

	_, err := ask(t, at("missing/engine.sock"))
	requireCause(t, probe.CauseNoSocket, "the directory "+dir+"/missing does not exist", err)
	_, err = ask(t, at("engine.sock"))
	requireCause(t, probe.CauseNoSocket, "the directory "+dir+" is empty", err)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600))
	_, err = ask(t, at("engine.sock"))
	requireCause(t, probe.CauseNoSocket, "has no file engine.sock", err)
	_, err = ask(t, at("plain"))
	requireCause(t, probe.CauseNoSocket, "is a plain file, not a socket", err)
	_, err = ask(t, at("plain/engine.sock"))
	requireCause(t, probe.CauseNoSocket, "there is no file", err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "made"), 0o755))
	_, err = ask(t, at("made"))
	requireCause(t, probe.CauseNoSocket, "is a directory, not a socket", err)

	l := listen(t, "unix", filepath.Join(dir, "buildkitd.sock"))
	_, err = ask(t, at("engine.sock"))
	requireCause(t, probe.CauseNoSocket, "but a socket buildkitd.sock", err)

	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	_, err = ask(t, at("buildkitd.sock"))
	requireCause(t, probe.CauseRefused, "exists, and nothing listens on it", err)
}

func TestProbeWithoutPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a socket away and become another user")
	}
	dir := socketDir(t)
	socket := filepath.Join(dir, "engine.sock")
	server := probetest.Server(probetest.Handler(probetest.EngineInfo("v0.21.8")))
	l := listen(t, "unix", socket)
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
	require.NoError(t, os.Chown(socket, 0, 1001))
	require.NoError(t, os.Chmod(socket, 0o660))
	// Where go test puts its binary, only its own user can go.
	binary, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "probe"), binary, 0o755))
	run := func(path string, groups ...uint32) string {
		cmd := exec.Command(filepath.Join(dir, "probe"))
		cmd.Dir = dir
		// Else a binary with the race detector sleeps for a second at its end.
		cmd.Env = []string{probeAs + "=unix://" + path, "GORACE=atexit_sleep_ms=0"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532, Groups: groups}}
		out, err := cmd.Output() // Without stderr: a binary with coverage complains there.
		require.NoError(t, err, string(out))
		return string(out)
	}
	require.Equal(t, "This process may not connect to the engine's socket: "+socket+" belongs to uid 0 and gid 1001 and has mode 0660; "+
		"this process has uid 65532, gid 65532 and the groups [2000]. Add 1001 to the pod's securityContext.supplementalGroups.\n",
		run(socket, 2000))
	require.Empty(t, run(socket, 1001))

	require.NoError(t, os.Chmod(socket, 0o600))
	require.Contains(t, run(socket, 1001), "The mode lets no group in")
	closed := filepath.Join(dir, "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	require.Contains(t, run(filepath.Join(closed, "engine.sock")), closed+" belongs to uid 0 and gid 0 and has mode 0700")
}
