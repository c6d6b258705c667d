package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tool is one program that a module's go.mod names.
type tool struct {
	name, pkg string
	// module is the module that has the package; its version is that of the program. A package of the naming module itself has
	// no version: a hash of that module's files stands for it.
	module, version string
	// flags are those of the go command that the module needs.
	flags []string
}

// tools returns the tools that the module in a folder names.
func tools(ctx context.Context, module string) ([]tool, error) {
	const format = "{{.ImportPath}} {{.Module.Path}} {{or .Module.Version .Module.Dir}}"
	out, err := goCommand(ctx, module, "list", "-f", format, "tool").Output()
	if err != nil {
		return nil, fmt.Errorf("go list tool, in %s: %w", module, err)
	}
	var found []tool
	for line := range strings.Lines(string(out)) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("go list tool, in %s: %q", module, line)
		}
		t := tool{name: base(fields[0]), pkg: fields[0], module: fields[1], version: fields[2]}
		if filepath.IsAbs(t.version) {
			if t.version, err = hash(t.version); err != nil {
				return nil, err
			}
		}
		found = append(found, t)
	}
	return found, nil
}

// hash returns a short hash of the files of a folder.
func hash(folder string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		_, _ = fmt.Fprintf(sum, "%q %x\n", strings.TrimPrefix(path, folder), sha256.Sum256(text))
		return err
	})
	return fmt.Sprintf("%x", sum.Sum(nil)[:6]), err
}

var noName = regexp.MustCompile(`(/server)?(/v[0-9]+)?$`)

// base returns what a program or a module is called: the last part of its path that is a name. etcd's own is ".../etcd/server/v3".
func base(pkg string) string { return path.Base(noName.ReplaceAllString(pkg, "")) }

// goCommand runs go in a folder, which is another module: flags and workspaces meant for this one are left out.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	return cmd
}

// build compiles one binary into dir. The file appears under its name only once it is whole.
func build(ctx context.Context, progress io.Writer, module string, b tool, dir string) error {
	total, err := goCommand(ctx, module, slices.Concat([]string{"list"}, b.flags, []string{"-deps", b.pkg})...).Output()
	if err != nil {
		return fmt.Errorf("go list -deps %s: %w", b.pkg, said(err))
	}
	packages := strings.Count(string(total), "\n")
	_, _ = fmt.Fprintf(progress, "building %s %s once into %s (minutes, the first time)\n", b.name, b.version, dir)

	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%d", b.name, os.Getpid()))
	defer func() { _ = os.Remove(tmp) }()
	cmd := goCommand(ctx, module, slices.Concat([]string{"build"}, b.flags,
		[]string{"-v", "-trimpath", "-buildvcs=false", "-ldflags", ldflags(b), "-o", tmp, b.pkg})...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// go build -v prints one import path a compiled package; anything else is its own error text.
	started, last, compiled := time.Now(), time.Now(), 0
	var failure []string
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if line := lines.Text(); strings.ContainsAny(line, " \t#") {
			failure = append(failure, line)
			continue
		}
		compiled++
		if time.Since(last) > 20*time.Second {
			last = time.Now()
			_, _ = fmt.Fprintf(progress, "  %s: %d of at most %d packages, %s\n", b.name, compiled, packages, time.Since(started).Round(time.Second))
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(failure, "\n"))
	}
	_, _ = fmt.Fprintf(progress, "  %s: done in %s\n", b.name, time.Since(started).Round(time.Second))
	return os.Rename(tmp, filepath.Join(dir, b.name))
}

// ldflags stamps the versions that programs report: without Kubernetes' the server reports one that no client understands.
func ldflags(b tool) string {
	flags := []string{"-s", "-w"}
	switch b.module {
	case kubernetes:
		parts := strings.SplitN(strings.TrimPrefix(b.version, "v"), ".", 3)
		for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
			flags = append(flags,
				"-X", pkg+".gitVersion="+b.version,
				"-X", pkg+".gitMajor="+parts[0],
				"-X", pkg+".gitMinor="+parts[1],
				"-X", pkg+".gitTreeState=clean")
		}
	case "helm.sh/helm/v4":
		flags = append(flags, "-X", b.module+"/internal/version.version="+b.version)
	case "github.com/containerd/containerd/v2":
		flags = append(flags, "-X", b.module+"/version.Version="+b.version)
	}
	return strings.Join(flags, " ")
}
