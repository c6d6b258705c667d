package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const kubernetes = "k8s.io/kubernetes"

var versionQuery = regexp.MustCompile(`^v?(1\.\d+)(\.x|\.\d+(-[0-9a-z.]+)?)?$`)

// resolve returns the version of Kubernetes that is meant by one as v1.31.5, or the newest patch release by v1.31 or v1.31.x.
func resolve(ctx context.Context, wanted string) (string, error) {
	parts := versionQuery.FindStringSubmatch(wanted)
	if parts == nil {
		return "", fmt.Errorf("%q is not a version of Kubernetes: name a release, as v1.31.5, or v1.31 for its newest patch release", wanted)
	}
	query := "v" + parts[1] + strings.TrimSuffix(parts[2], ".x")
	out, err := goCommand(ctx, os.TempDir(), "list", "-m", "-f", "{{.Version}}", kubernetes+"@"+query).Output()
	if err != nil {
		return "", fmt.Errorf("finding Kubernetes %s: %w\nThe versions that there are: go list -m -versions %s", query, said(err), kubernetes)
	}
	return string(bytes.TrimSpace(out)), nil
}

// said returns what a command that failed wrote about it.
func said(err error) error {
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) && len(failed.Stderr) > 0 {
		return fmt.Errorf("%s", bytes.TrimSpace(failed.Stderr))
	}
	return err
}

// versionAssets returns the folder with the binaries, Kubernetes' own in another version than the module pins.
func versionAssets(ctx context.Context, progress io.Writer, wanted string, names []string) (string, error) {
	version, err := resolve(ctx, wanted)
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		names = controlPlane
	}
	pinned, err := tools(ctx, ".")
	if err != nil {
		return "", err
	}
	picked, err := pick(pinned, ".", names)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(pinned, func(t tool) bool { return t.module == kubernetes && t.version == version }) {
		return assets(ctx, progress, ".", names)
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, strings.Join([]string{"kubernetes", version, "alone", runtime.GOOS, runtime.GOARCH}, "-"))
	source := filepath.Join(dir, "module")
	if err := generateModule(ctx, source, version); err != nil {
		return "", fmt.Errorf("making a module of Kubernetes %s: %w", version, err)
	}
	for _, b := range picked {
		if b.module != kubernetes {
			if err := link(ctx, progress, b.name, dir); err != nil {
				return "", err
			}
			continue
		}
		b.version, b.flags = version, []string{"-mod=mod"}
		if exists(filepath.Join(dir, b.name)) {
			continue
		}
		if err := build(ctx, progress, source, b, dir); err != nil {
			return "", fmt.Errorf("building %s %s: %w", b.name, version, err)
		}
	}
	return dir, nil
}

// link puts a program that the module pins, etcd for one, into a folder of those of another version of Kubernetes.
func link(ctx context.Context, progress io.Writer, name, dir string) error {
	from, err := assets(ctx, progress, ".", []string{name})
	if err != nil {
		return err
	}
	if from == dir { // $KUBEBUILDER_ASSETS is this very folder
		return nil
	}
	to := filepath.Join(dir, name)
	if err := os.Remove(to); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(filepath.Join(from, name), to)
}

// goMod is what is read of a go.mod.
type goMod struct {
	Go      string
	Godebug []struct{ Key, Value string }
	Replace []replacement
}

type replacement struct{ Old, New module }

type module struct{ Path, Version string }

// generateModule writes a module that requires a version of Kubernetes, unless the folder has it. The replacements of a module
// count only where it is the main one, and those of Kubernetes lead to folders that its module lacks: so ours has the released
// module of each. The go command completes the rest by the flag -mod=mod.
func generateModule(ctx context.Context, folder, version string) error {
	file := filepath.Join(folder, "go.mod")
	if exists(file) {
		return nil
	}
	out, err := goCommand(ctx, os.TempDir(), "mod", "download", "-json", kubernetes+"@"+version).Output()
	if err != nil {
		return said(err)
	}
	var downloaded struct{ GoMod string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return err
	}
	if out, err = goCommand(ctx, os.TempDir(), "mod", "edit", "-json", downloaded.GoMod).Output(); err != nil {
		return said(err)
	}
	var theirs goMod
	if err := json.Unmarshal(out, &theirs); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	whole := fmt.Sprintf("%s.%d", file, os.Getpid())
	if err := os.WriteFile(whole, []byte(moduleOf(theirs, version)), 0o644); err != nil {
		return err
	}
	return os.Rename(whole, file)
}

// moduleOf returns the text of the module that requires a version of Kubernetes, with the settings of that one's own go.mod.
func moduleOf(theirs goMod, version string) string {
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "module kubernetes.invalid/alone\n\ngo %s\n\n", theirs.Go)
	for _, setting := range theirs.Godebug {
		_, _ = fmt.Fprintf(&text, "godebug %s=%s\n", setting.Key, setting.Value)
	}
	_, _ = fmt.Fprintf(&text, "\nrequire %s %s\n\n", kubernetes, version)
	staging := "v0" + strings.TrimPrefix(version, "v1")
	for _, r := range theirs.Replace {
		if strings.HasPrefix(r.New.Path, "./") {
			_, _ = fmt.Fprintf(&text, "replace %s => %s %s\n", r.Old.Path, r.Old.Path, staging)
		} else {
			_, _ = fmt.Fprintf(&text, "replace %s => %s %s\n", r.Old.Path, r.New.Path, r.New.Version)
		}
	}
	return text.String()
}
