package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestSeveralInOneProcess(t *testing.T) {
	var all [3]*ControlPlane
	var problems [3]error
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i], problems[i] = Start(t.Context(), Options{}) })
	}
	group.Wait()
	require.Equal(t, [3]error{}, problems)

	require.NoError(t, all[0].CreateNamespace(t.Context(), "only-here", nil, nil))
	require.Error(t, all[1].Client().Get(t.Context(), client.ObjectKey{Name: "only-here"}, &corev1.Namespace{}))
	for _, cp := range all {
		ids := pids(t, cp.dir)
		watcher, err := client.NewWithWatch(cp.Config(), client.Options{})
		require.NoError(t, err)
		watch, err := watcher.Watch(t.Context(), &corev1.PodList{})
		require.NoError(t, err)

		began := time.Now()
		require.NoError(t, cp.Stop())
		require.NoError(t, cp.Stop())
		require.Less(t, time.Since(began), 5*time.Second, "an open watch must not delay Stop")
		watch.Stop()
		requireGone(t, cp.dir, ids)
	}
}

func TestCancellingStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cp, err := Start(ctx, Options{})
	require.NoError(t, err)
	ids := pids(t, cp.dir)
	cancel()
	requireGone(t, cp.dir, ids)
	require.NoError(t, cp.Stop())
}

func TestCancellingDuringStart(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for _, delay := range []time.Duration{0, 300 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second} {
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		began := time.Now()
		_, err := Start(ctx, Options{})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(began)-delay, 5*time.Second)
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left)
	}
	require.Empty(t, processesOf(t, tmp))
}

// crashing makes the test binary start a control plane, print its folder, and die without a chance to clean up.
const crashing = "CONTROLPLANE_TEST_CRASH"

func crash() {
	cp, err := Start(context.Background(), Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(cp.dir)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func TestNothingOutlivesACrash(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashing+"=1")
	var out bytes.Buffer
	cmd.Stdout = &out
	require.ErrorContains(t, cmd.Run(), "killed")
	dir := strings.TrimSpace(out.String())
	require.True(t, filepath.IsAbs(dir), "%q", dir)
	requireGone(t, dir, nil)
}

// pids returns the ids of the processes of a control plane.
func pids(t *testing.T, dir string) []int {
	t.Helper()
	var ids []int
	for _, name := range []string{etcd, apiServer} {
		text, err := os.ReadFile(filepath.Join(dir, name+".pid"))
		require.NoError(t, err)
		id, err := strconv.Atoi(strings.TrimSpace(string(text)))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(id, 0))
		ids = append(ids, id)
	}
	return ids
}

func requireGone(t *testing.T, dir string, ids []int) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		// A process that has ended is there until it is waited for, which may be after the folder is gone.
		there := slices.ContainsFunc(ids, func(id int) bool { return !errors.Is(syscall.Kill(id, 0), syscall.ESRCH) })
		return os.IsNotExist(err) && len(processesOf(t, dir)) == 0 && !there
	}, 30*time.Second, 20*time.Millisecond)
}

// processesOf returns the command lines that name a folder.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "args=").Output()
	require.NoError(t, err)
	var found []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) {
			found = append(found, line)
		}
	}
	return found
}
