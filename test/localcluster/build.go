package localcluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dagger-inject/dagger-inject/test/controlplane"
)

// tools are the programs of nested modules that a cluster needs.
type tools struct {
	certManager, helm, certManagerVersion string
	// crds is the folder of cert-manager's custom resource definitions.
	crds string
}

const (
	moduleCertManager = "github.com/cert-manager/cert-manager"
	moduleHelm        = "helm.sh/helm/v4"
)

// buildTools builds what is not in the cache folder yet. The first time takes about two minutes a program on two cores.
func buildTools(ctx context.Context, progress io.Writer) (t tools, err error) {
	root, err := controlplane.Root(ctx)
	if err != nil {
		return t, err
	}
	certManager := filepath.Join(root, "test", "certmanager")
	if t.certManagerVersion, err = module(ctx, certManager, "Version", moduleCertManager); err != nil {
		return t, err
	}
	dir, err := module(ctx, certManager, "Dir", moduleCertManager)
	if err != nil {
		return t, err
	}
	t.crds = filepath.Join(dir, "deploy", "crds")
	if t.certManager, err = build(ctx, progress, "certmanager-"+t.certManagerVersion, certManager, ".", ""); err != nil {
		return t, err
	}
	helm := filepath.Join(root, "test", "chart")
	version, err := module(ctx, helm, "Version", moduleHelm)
	if err != nil {
		return t, err
	}
	t.helm, err = build(ctx, progress, "helm-"+version, helm, moduleHelm+"/cmd/helm", "-X "+moduleHelm+"/internal/version.version="+version)
	return t, err
}

// module returns a field of a module that the one in a folder requires; what is not there yet is downloaded.
func module(ctx context.Context, folder, field, name string) (string, error) {
	if _, err := goCommand(ctx, folder, "mod", "download", name); err != nil {
		return "", err
	}
	out, err := goCommand(ctx, folder, "list", "-m", "-f", "{{."+field+"}}", name)
	return string(bytes.TrimSpace(out)), err
}

// build builds a package of the nested module in a folder, once: the binary's name in the cache folder has a hash of the
// module's files, as far as they go into it.
func build(ctx context.Context, progress io.Writer, name, folder, pkg, ldflags string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	patterns := []string{"go.mod", "go.sum"}
	if pkg == "." {
		patterns = append(patterns, "*.go")
	}
	key := sha256.New()
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return "", err
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			_, _ = fmt.Fprintf(key, "%s %d\n%s", filepath.Base(path), len(text), text)
		}
	}
	path := filepath.Join(cache, "dagger-inject", "tools", fmt.Sprintf("%s-%x", name, key.Sum(nil)[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	began := time.Now()
	_, _ = fmt.Fprintf(progress, "building %s once into %s (about two minutes on two cores)\n", name, filepath.Dir(path))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(tmp) }()
	if _, err := goCommand(ctx, folder, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w "+ldflags, "-o", tmp, pkg); err != nil {
		return "", fmt.Errorf("building %s: %w", name, err)
	}
	_, _ = fmt.Fprintf(progress, "  %s: done in %s\n", name, time.Since(began).Round(time.Second))
	return path, os.Rename(tmp, path)
}

// goCommand runs the go command in a nested module and returns what it printed.
func goCommand(ctx context.Context, folder string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	// Flags and workspaces meant for the main module do not fit a nested one.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("go %s in %s: %w\n%s", args[0], folder, err, bytes.TrimSpace(failed.Stderr))
	}
	return out, err
}
