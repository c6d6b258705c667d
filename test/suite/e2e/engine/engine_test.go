package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/program"
)

// start runs an engine until the test ends.
func start(t *testing.T, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, args, io.Discard) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// eventuallyAsk asks until an engine answers, and returns what the CLI prints.
func eventuallyAsk(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	require.Eventually(t, func() bool {
		out.Reset()
		return ask(t.Context(), []string{"core", "version"}, &out) == nil
	}, time.Minute, 10*time.Millisecond)
	return out.String()
}

func TestTheCLIPrintsWhatTheEngineAnswers(t *testing.T) {
	dir, err := os.MkdirTemp("", "engine-") // The path of a socket is short.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "run", "engine.sock")
	t.Setenv(runnerHost, "unix://"+socket)
	require.NoError(t, os.MkdirAll(filepath.Dir(socket), 0o755))
	require.NoError(t, os.WriteFile(socket, nil, 0o600), "what an engine that crashed has left")
	require.Error(t, ask(t.Context(), []string{"core", "version"}, io.Discard))
	if os.Getuid() != 0 {
		t.Skip("only root makes sockets of root's, as engines are")
	}
	start(t)
	name, err := os.Hostname()
	require.NoError(t, err)
	want := fmt.Sprintf("engine=%s version=%s cli=%s uid=%d host=unix://%s\n", name, version+build, version, os.Getuid(), socket)
	require.Equal(t, want, eventuallyAsk(t))
	info, err := os.Stat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
}

func TestTheEngineStartsSlowlyAndListensByTCP(t *testing.T) {
	ports, err := program.FreePorts(1)
	require.NoError(t, err)
	address := fmt.Sprintf("tcp://127.0.0.1:%d", ports[0])
	t.Setenv(runnerHost, address)
	t.Setenv(startDelay, "200ms")
	began := time.Now()
	start(t, "--addr", address)
	require.Contains(t, eventuallyAsk(t), "host="+address)
	require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond)
}

func TestTheEngineRefusesWhatItDoesNotKnow(t *testing.T) {
	require.ErrorContains(t, serve(t.Context(), []string{"--addr", "vsock://1"}, io.Discard), `--addr "vsock://1" is not accepted`)
	t.Setenv(startDelay, "soon")
	require.ErrorContains(t, serve(t.Context(), nil, io.Discard), startDelay)
}
