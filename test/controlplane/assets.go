package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// built remembers the folders that the cluster program printed, by the names asked for, for the next start in this process.
var built struct {
	sync.Mutex
	dirs map[string]string
}

// Assets returns the folder that holds the binaries of those names, as test/cluster knows them: $KUBEBUILDER_ASSETS where
// that has them all, else the one that the program in test/cluster prints, which builds them on first use. Progress
// receives what it says meanwhile.
func Assets(ctx context.Context, progress io.Writer, names ...string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" && hasAll(dir, names) {
		return filepath.Abs(dir)
	}
	built.Lock()
	defer built.Unlock()
	key := strings.Join(names, " ")
	if dir := built.dirs[key]; dir != "" {
		return dir, nil
	}
	root, err := Root(ctx)
	if err != nil {
		return "", fmt.Errorf("%w (outside the source tree, set KUBEBUILDER_ASSETS)", err)
	}
	tmp, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }()

	// Built and then run, since a cancelled "go run" leaves its program running.
	program := filepath.Join(tmp, "cluster")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
	build.Dir = filepath.Join(root, "test", "cluster")
	// It is a module of its own; flags and workspaces meant for ours do not fit it.
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if _, err := output(build, nil); err != nil {
		return "", err
	}
	run := exec.CommandContext(ctx, program, names...)
	run.Dir, run.Env = build.Dir, build.Env
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	dir, err := output(run, progress)
	if err != nil {
		return "", err
	}
	if built.dirs == nil {
		built.dirs = map[string]string{}
	}
	built.dirs[key] = dir
	return dir, nil
}

// Root returns the folder of this source tree.
func Root(ctx context.Context) (string, error) {
	return output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dagger-inject/dagger-inject"), nil)
}

// hasAll says whether a folder has files of all those names.
func hasAll(dir string, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

// output runs a command and returns what it printed. Its standard error goes to progress, if there is one, or into the
// error.
func output(cmd *exec.Cmd, progress io.Writer) (string, error) {
	cmd.Stderr = progress
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("%w\n%s", err, bytes.TrimSpace(failed.Stderr))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
	}
	return string(bytes.TrimSpace(out)), nil
}
