// Package tools finds the third-party programs that tests and demos start: those of the nested modules below test, which
// test/rig/binaries builds once.
package tools

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

// The modules below test whose tools are asked for most: Kubernetes' own programs and etcd, and what the chart is tested with, Helm.
const (
	Kubernetes = "rig/binaries"
	Chart      = "suite/chart"
)

// built remembers the folders that the program binaries printed, by the module and the names asked for, for the next start in
// this process.
var built struct {
	sync.Mutex
	dirs map[string]string
}

// Build returns the folder that holds the programs of those names, tools of a module below test. Where
// $KUBEBUILDER_ASSETS has all that are wanted of Kubernetes, it is that one, else the one that the program in test/rig/binaries
// prints, which builds them on first use. Progress receives what it says meanwhile.
func Build(ctx context.Context, progress io.Writer, module string, names ...string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" && module == Kubernetes && hasAll(dir, names) {
		return filepath.Abs(dir)
	}
	built.Lock()
	defer built.Unlock()
	key := strings.Join(append([]string{module}, names...), " ")
	if dir := built.dirs[key]; dir != "" {
		return dir, nil
	}
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp("", "binaries-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }()

	// Built and then run, since a cancelled "go run" leaves its program running.
	program := filepath.Join(tmp, "binaries")
	folder := filepath.Join(root, "test", Kubernetes)
	if _, err := Run(ctx, nil, folder, "go", "build", "-o", program, "."); err != nil {
		return "", err
	}
	// From the program's own module, which it takes by the name ".".
	path, err := filepath.Rel(folder, filepath.Join(root, "test", module))
	if err != nil {
		return "", err
	}
	dir, err := Run(ctx, progress, folder, program, append([]string{"-module", path}, names...)...)
	if err != nil {
		return "", err
	}
	if built.dirs == nil {
		built.dirs = map[string]string{}
	}
	built.dirs[key] = dir
	return dir, nil
}

// CertManager returns the program of test/rig/certmanager, and the folder of cert-manager's custom resource definitions.
func CertManager(ctx context.Context, progress io.Writer) (program, crds string, err error) {
	return withCRDs(ctx, progress, "certmanager", "github.com/cert-manager/cert-manager", "deploy/crds")
}

// ARC returns the program of test/rig/arc, and the folder of the actions-runner-controller's custom resource definitions.
func ARC(ctx context.Context, progress io.Writer) (program, crds string, err error) {
	return withCRDs(ctx, progress, "arc", "github.com/actions/actions-runner-controller", "config/crd/bases")
}

// withCRDs returns the program of a module below test/rig, and the folder of definitions in the module whose controllers it runs.
func withCRDs(ctx context.Context, progress io.Writer, name, module, definitions string) (program, crds string, err error) {
	dir, err := Build(ctx, progress, "rig/"+name, name)
	if err != nil {
		return "", "", err
	}
	source, err := ModuleSource(ctx, name, module)
	return filepath.Join(dir, name), filepath.Join(source, definitions), err
}

// ModuleSource returns the folder of a module in the version that a module below test/rig has it.
func ModuleSource(ctx context.Context, rig, module string) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "test", "rig", rig)
	// The program may be older than the files of the modules that it was built from.
	if _, err := Run(ctx, nil, folder, "go", "mod", "download", module); err != nil {
		return "", err
	}
	return Run(ctx, nil, folder, "go", "list", "-m", "-f", "{{.Dir}}", module)
}

// Root returns the folder of this source tree.
func Root(ctx context.Context) (string, error) {
	dir, err := Run(ctx, nil, "", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dagger-inject/dagger-inject")
	if err != nil {
		return "", fmt.Errorf("finding the source tree, in which this must run: %w", err)
	}
	return dir, nil
}

// hasAll says whether a folder has files of all those names.
func hasAll(dir string, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

// Run runs a program in a folder, which may be a module of its own, and returns what it printed, which on failure is in the error. Its
// standard error goes to progress, if there is one, or into the error too. Where the context is cancelled, the program is interrupted.
func Run(ctx context.Context, progress io.Writer, folder, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stderr = folder, progress
	// Flags and workspaces meant for our module do not fit another.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("%w\n%s", err, bytes.TrimSpace(append(out, failed.Stderr...)))
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", filepath.Base(program), strings.Join(args, " "), err)
	}
	return string(bytes.TrimSpace(out)), nil
}
