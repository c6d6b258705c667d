//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	// Up starts a copy of this program as the node's first process.
	if len(os.Args) == 3 && os.Args[1] == initCommand {
		if err := runInit(os.Args[2]); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func TestDownRemovesWhatACrashLeft(t *testing.T) {
	if os.Getenv("E2E") == "" {
		t.Skip("it takes root; make e2e runs it")
	}
	for _, test := range []struct {
		name  string
		crash func(t *testing.T, init int, state string)
	}{
		{"nothing crashed", func(*testing.T, int, string) {}},
		{"the first process was killed", func(t *testing.T, init int, _ string) {
			require.NoError(t, syscall.Kill(init, syscall.SIGKILL))
		}},
		{"the first process hangs, and the folder is half gone", func(t *testing.T, init int, state string) {
			require.NoError(t, syscall.Kill(init, syscall.SIGSTOP))
			require.NoError(t, os.RemoveAll(filepath.Join(state, "config")))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := filepath.Join(t.TempDir(), "node")
			t.Cleanup(func() { require.NoError(t, down(t.Context(), state)) })
			require.NoError(t, up(t.Context(), state, os.Stderr))
			require.NotEmpty(t, traces(t, state))
			init, err := findInit(state)
			require.NoError(t, err)
			test.crash(t, init, state)
			require.NoError(t, down(t.Context(), state))
			require.Empty(t, traces(t, state))
			require.NoError(t, down(t.Context(), state), "nothing is left to do")
		})
	}
}

func TestUpClearsUpAfterItself(t *testing.T) {
	if os.Getenv("E2E") == "" {
		t.Skip("it takes root; make e2e runs it")
	}
	state := filepath.Join(t.TempDir(), "node")
	require.NoError(t, up(t.Context(), state, os.Stderr))
	first, err := findInit(state)
	require.NoError(t, err)
	require.NoError(t, up(t.Context(), state, os.Stderr), "in the place of one that runs")
	second, err := findInit(state)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.NoError(t, down(t.Context(), state))
	require.Empty(t, traces(t, state))
}

// traces returns what of a node is on the machine: files, processes, mounts, interfaces and control groups.
func traces(t *testing.T, state string) []string {
	t.Helper()
	s := &settings{ID: id(state)}
	patterns := []string{state, "/sys/class/net/" + s.link(), cgroupRoot + s.cgroup(), cgroupRoot + "/*" + s.cgroup()}
	var found []string
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		found = append(found, paths...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	if strings.Contains(string(mounts), state) {
		found = append(found, "mounts")
	}
	// Processes of pods; the others are below the first one.
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), s.cgroup()) {
			found = append(found, file)
		}
	}
	if init, err := findInit(state); err != nil || init != 0 {
		found = append(found, "first process")
	}
	return found
}

func TestDownLeavesOtherFoldersAlone(t *testing.T) {
	state := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(state, "precious"), nil, 0o600))
	require.ErrorContains(t, down(t.Context(), state), "it is not a cluster's folder")
	require.FileExists(t, filepath.Join(state, "precious"))
}

func TestParseRoutes(t *testing.T) {
	routes, err := parseRoutes("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth0\t0000D50A\t00000000\t0001\t0\t0\t0\tFCFFFFFF\t0\t0\t0\n" +
		"eth1\t000010AC\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0\n")
	require.NoError(t, err)
	var text []string
	for _, r := range routes {
		text = append(text, r.String())
	}
	require.Equal(t, []string{"10.213.0.0/30", "172.16.0.0/12"}, text)

	_, err = parseRoutes("header\neth0\tzz\t0\t0\t0\t0\t0\t0\n")
	require.Error(t, err)
}
