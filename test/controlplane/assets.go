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
	"sync"
	"time"
)

// built remembers the folder that the cluster program printed, for the next start in this process.
var built struct {
	sync.Mutex
	dir string
}

// assets returns the folder that holds etcd and kube-apiserver: $KUBEBUILDER_ASSETS, else the one that the program in
// test/cluster prints, which builds them on first use.
func assets(ctx context.Context, progress io.Writer) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return filepath.Abs(dir)
	}
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		return built.dir, nil
	}
	root, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dagger-inject/dagger-inject"), nil)
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
	run := exec.CommandContext(ctx, program)
	run.Dir, run.Env = build.Dir, build.Env
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	built.dir, err = output(run, progress)
	return built.dir, err
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
