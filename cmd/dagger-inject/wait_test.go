package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe/probetest"
)

// waited is how a wait ended.
type waited struct {
	code     int
	out, err string
	took     time.Duration
}

// wait runs the command in this process.
func wait(ctx context.Context, args ...string) waited {
	var out, report bytes.Buffer
	s := streams{in: strings.NewReader(""), out: &out, err: &report}
	start := time.Now()
	code := run(ctx, append([]string{"wait"}, args...), s)
	return waited{code: code, out: out.String(), err: report.String(), took: time.Since(start)}
}

// engineSocket returns a path on which an engine of a version listens after a while.
func engineSocket(t *testing.T, info probe.Info, after time.Duration) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wait") // t.TempDir makes paths that are too long for a socket.
	require.NoError(t, err)
	file := filepath.Join(dir, "engine.sock")
	server := probetest.Server(probetest.Handler(info))
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(after)
		if l, err := net.Listen("unix", file); err == nil {
			_ = server.Serve(l)
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		_ = os.RemoveAll(dir)
	})
	return "unix://" + file
}

func TestWait(t *testing.T) {
	t.Parallel()
	engine := engineSocket(t, probetest.EngineInfo("v0.21.8"), 0)
	w := wait(t.Context(), "--host", engine, "--timeout", "10s", "--expect-version", "v0.21.8")
	require.Zero(t, w.code, w.err)
	require.Regexp(t, `^A Dagger Engine "v0.21.8" \("dagger-dagger-helm-engine-x7k2m"\) answers at `+engine+` after \d+m?s\.\n$`, w.out)

	w = wait(t.Context(), "--host", engine, "--timeout", "10s", "--expect-version", "0.21.0")
	require.Zero(t, w.code, w.err)
	require.Contains(t, w.out, ": v0.21.0 was expected; the two work together.\n")
	require.Equal(t, 1, strings.Count(w.out, "\n"))

	w = wait(t.Context(), "--host", engineSocket(t, probetest.EngineInfo("v0.18.0"), 0), "--timeout", "10s", "--expect-version", "any")
	require.Zero(t, w.code, w.err)
	require.Contains(t, w.out, `A Dagger Engine "v0.18.0"`)
}

func TestWaitForSlowStart(t *testing.T) {
	t.Parallel()
	engine := engineSocket(t, probetest.EngineInfo("v0.21.8"), 500*time.Millisecond)
	w := wait(t.Context(), "--host", engine, "--timeout", "10s")
	require.Zero(t, w.code, w.err)
	require.Contains(t, w.out, "A Dagger Engine")
	require.Equal(t, 1, strings.Count(w.err, "\n"), "one line while nothing changes:\n"+w.err)
	require.Contains(t, w.err, "There is no engine socket at this path")
	require.GreaterOrEqual(t, w.took, 500*time.Millisecond)
	require.Less(t, w.took, 10*time.Second)
}

func TestWaitGivesUp(t *testing.T) {
	t.Parallel()
	plain := probetest.EngineInfo("v0.21.8")
	plain.Package = "github.com/moby/buildkit"
	halfOpen, err := net.Listen("tcp", "127.0.0.1:0") // The kernel accepts, and nobody reads.
	require.NoError(t, err)
	t.Cleanup(func() { _ = halfOpen.Close() })
	cases := map[string]struct {
		args []string
		code int
		part string
	}{
		"no socket":       {[]string{"--host", "unix:///nowhere/engine.sock"}, 10, "the directory /nowhere does not exist"},
		"no answer":       {[]string{"--host", "tcp://" + halfOpen.Addr().String()}, 16, "no answer comes"},
		"other buildkitd": {[]string{"--host", engineSocket(t, plain, 0)}, 18, "github.com/moby/buildkit"},
		"old engine":      {[]string{"--host", engineSocket(t, probetest.EngineInfo("v0.18.0"), 0)}, 19, "the engine is v0.18.0"},
		"old client": {[]string{"--host", engineSocket(t, probetest.EngineInfo("v0.21.8"), 0), "--expect-version", "v0.18.0"}, 19,
			"the client is v0.18.0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "termination-log")
			args := append(c.args, "--timeout", "1s", "--termination-log", log)
			w := wait(t.Context(), args...)
			require.Equal(t, c.code, w.code, w.err)
			require.Empty(t, w.out)
			require.Less(t, w.took, 30*time.Second, "the time-out of 1s holds")
			lines := strings.Split(strings.TrimSpace(w.err), "\n")
			last := lines[len(lines)-1]
			require.Contains(t, last, "dagger-inject: no engine to use at "+c.args[1]+" within 1s. ")
			require.Contains(t, last, c.part)
			written, err := os.ReadFile(log)
			require.NoError(t, err)
			require.Equal(t, strings.TrimPrefix(last, "dagger-inject: "), string(written))

			w = wait(t.Context(), append(args, "--on-timeout", "continue")...)
			require.Zero(t, w.code)
			require.Contains(t, w.err, c.part)
			require.Contains(t, w.err, "Continuing without an engine")
			again, err := os.ReadFile(log)
			require.NoError(t, err)
			require.Equal(t, written, again)
		})
	}
}

// An attempt that the deadline cuts short must not hide what the ones before it found.
func TestWaitKeepsTheCause(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var asked atomic.Bool
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !asked.Swap(true) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		<-release
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := probetest.Server(handler)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { close(release); _ = server.Close() })
	w := wait(t.Context(), "--host", "tcp://"+l.Addr().String(), "--timeout", "1s")
	require.Equal(t, probe.CauseRefused.ExitCode(), w.code, w.err)
	require.Contains(t, w.err, "HTTP 503")
}

func TestWaitStopped(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "termination-log")
	// Cancelled as by a signal: with a deadline, a dialer times out a moment before its context is done.
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(500*time.Millisecond, cancel)
	w := wait(ctx, "--host", "unix:///nowhere/engine.sock", "--termination-log", log, "--on-timeout", "continue")
	require.Equal(t, exitFailure, w.code)
	require.Contains(t, w.err, "stopped after ")
	require.Contains(t, w.err, "before an engine answered at unix:///nowhere/engine.sock. There is no engine socket")
	written, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Contains(t, string(written), "stopped after ")
}

func TestWaitTerminationLog(t *testing.T) {
	t.Parallel()
	args := []string{"--host", "unix:///nowhere/engine.sock", "--timeout", "2s"} // one attempt at least, on a busy machine too
	w := wait(t.Context(), append(args, "--termination-log", "/nowhere/log")...)
	require.Equal(t, 10, w.code)
	require.Contains(t, w.err, "The termination message cannot be written")
	w = wait(t.Context(), append(args, "--termination-log", "")...)
	require.Equal(t, 10, w.code)
	require.NotContains(t, w.err, "termination message")
}

func TestWaitArguments(t *testing.T) {
	for name, args := range map[string][]string{
		"no host":          {},
		"a bad host":       {"--host", "tcp://10.0.0.1"},
		"an unknown query": {"--host", "tls://e:443?ca=x"},
		"a bad timeout":    {"--host", "tcp://e:1", "--timeout", "0s"},
		"no duration":      {"--host", "tcp://e:1", "--timeout", "2"},
		"a bad version":    {"--host", "tcp://e:1", "--expect-version", "latest"},
		"a bad end":        {"--host", "tcp://e:1", "--on-timeout", "ignore"},
		"an argument":      {"tcp://e:1"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, report := execute(t, "", append([]string{"wait"}, args...)...)
			require.Equal(t, exitBadInput, code, report)
			require.Empty(t, out)
			require.NotEmpty(t, report)
		})
	}
	code, help, _ := execute(t, "", "wait", "--help")
	require.Zero(t, code)
	for _, c := range probe.Causes() {
		require.Contains(t, help, c.Sentence())
	}
}
