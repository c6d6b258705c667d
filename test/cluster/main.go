// Command cluster provides the Kubernetes binaries that the tests and the demo start.
//
//	go run .                                          # etcd and kube-apiserver
//	go run . etcd kube-apiserver kubelet kube-proxy   # others too
//
// It prints, on standard output, the folder that holds them: $KUBEBUILDER_ASSETS when it is set and has them all, else a
// cached folder outside the tree, filled on first use by building them from their Go modules at the versions that this
// module's go.mod pins. Progress goes to standard error.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// binary is one program of the control plane.
type binary struct {
	name string
	pkg  string
	// module is the module whose version names the build.
	module string
}

const (
	moduleEtcd       = "go.etcd.io/etcd/server/v3"
	moduleKubernetes = "k8s.io/kubernetes"
)

var known = []binary{
	{name: "etcd", pkg: moduleEtcd, module: moduleEtcd},
	{name: "kube-apiserver", pkg: moduleKubernetes + "/cmd/kube-apiserver", module: moduleKubernetes},
	{name: "kube-controller-manager", pkg: moduleKubernetes + "/cmd/kube-controller-manager", module: moduleKubernetes},
	{name: "kube-scheduler", pkg: moduleKubernetes + "/cmd/kube-scheduler", module: moduleKubernetes},
	{name: "kube-proxy", pkg: moduleKubernetes + "/cmd/kube-proxy", module: moduleKubernetes},
	{name: "kubelet", pkg: moduleKubernetes + "/cmd/kubelet", module: moduleKubernetes},
	{name: "kubectl", pkg: moduleKubernetes + "/cmd/kubectl", module: moduleKubernetes},
}

// choose returns the binaries of those names: without any, the control plane that setup-envtest knows too.
func choose(names []string) ([]binary, error) {
	if len(names) == 0 {
		names = []string{"etcd", "kube-apiserver"}
	}
	var chosen []binary
	for _, name := range names {
		n := slices.IndexFunc(known, func(b binary) bool { return b.name == name })
		if n < 0 {
			return nil, fmt.Errorf("%q is not one of the binaries that this builds", name)
		}
		chosen = append(chosen, known[n])
	}
	return chosen, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := assets(ctx, os.Stderr, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}

// assets returns the folder with the binaries, building those that are missing.
func assets(ctx context.Context, progress io.Writer, names []string) (string, error) {
	binaries, err := choose(names)
	if err != nil {
		return "", err
	}
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		missing := slices.IndexFunc(binaries, func(b binary) bool {
			_, err := os.Stat(filepath.Join(dir, b.name))
			return err != nil
		})
		if missing < 0 {
			return dir, nil
		}
		// setup-envtest has the control plane alone: what else is asked for is built.
		if len(names) == 0 {
			return "", fmt.Errorf("KUBEBUILDER_ASSETS is %q, but it has no %s", dir, binaries[missing].name)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a cache folder: %w (set KUBEBUILDER_ASSETS to use binaries of your own)", err)
	}
	versions := map[string]string{}
	for _, module := range []string{moduleEtcd, moduleKubernetes} {
		if versions[module], err = moduleVersion(ctx, module); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(cache, "dagger-inject", fmt.Sprintf("kubernetes-%s-etcd-%s-%s-%s",
		versions[moduleKubernetes], versions[moduleEtcd], runtime.GOOS, runtime.GOARCH))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, b := range binaries {
		if _, err := os.Stat(filepath.Join(dir, b.name)); err == nil {
			continue
		}
		if err := build(ctx, progress, b, versions[b.module], dir); err != nil {
			return "", fmt.Errorf("building %s: %w", b.name, err)
		}
	}
	return dir, nil
}

// moduleVersion returns the version of a module that go.mod pins.
func moduleVersion(ctx context.Context, module string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-json", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", module, err)
	}
	var m struct{ Version string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", err
	}
	return m.Version, nil
}

// build compiles one binary into dir. The file appears under its name only once it is whole.
func build(ctx context.Context, progress io.Writer, b binary, version, dir string) error {
	total, err := exec.CommandContext(ctx, "go", "list", "-deps", b.pkg).Output()
	if err != nil {
		return fmt.Errorf("go list -deps %s: %w", b.pkg, err)
	}
	packages := strings.Count(string(total), "\n")
	_, _ = fmt.Fprintf(progress, "building %s %s once into %s (kube-apiserver takes about ten minutes on two cores)\n", b.name, version, dir)

	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%d", b.name, os.Getpid()))
	defer func() { _ = os.Remove(tmp) }()
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", ldflags(b, version), "-o", tmp, b.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
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

// ldflags stamps the Kubernetes version: without it the server reports one that no client understands.
func ldflags(b binary, version string) string {
	flags := []string{"-s", "-w"}
	if b.module == moduleKubernetes {
		parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
		for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
			flags = append(flags,
				"-X", pkg+".gitVersion="+version,
				"-X", pkg+".gitMajor="+parts[0],
				"-X", pkg+".gitMinor="+parts[1],
				"-X", pkg+".gitTreeState=clean")
		}
	}
	return strings.Join(flags, " ")
}
