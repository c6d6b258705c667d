// Command binaries provides the binaries that the tests and the demo start.
//
//	go run .                                                  # etcd and kube-apiserver
//	go run . etcd kube-apiserver kubelet kube-proxy           # others too
//	go run . -module ../containerd containerd ctr             # those of another module
//	go run . -module ../certmanager certmanager               # one of that module's own packages
//	go run . -kubernetes v1.31 etcd kube-apiserver            # the newest patch release of another Kubernetes
//
// It prints, on standard output, the folder that holds them: $KUBEBUILDER_ASSETS when it is set and has them all, else a
// cached folder outside the tree, filled on first use by building them from their Go modules at the versions that the
// module's go.mod pins. What can be built are the tools that go.mod names; a package of the module itself is built again once
// a file of the module has changed. Kubernetes' programs of another version are built from a module that is generated in the
// cache. Progress goes to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// controlPlane is what is built if the command line names nothing: what setup-envtest knows too.
var controlPlane = []string{"etcd", "kube-apiserver"}

func main() {
	module := flag.String("module", ".", "folder of the module whose tools are built")
	version := flag.String("kubernetes", "",
		"version of Kubernetes in place of the one that the module pins: v1.31.5, or v1.31 for its newest patch release")
	flag.Usage = func() {
		_, _ = fmt.Fprint(flag.CommandLine.Output(), `Build programs from their Go modules once, and print the folder that holds them.

  go run .                                              etcd and kube-apiserver
  go run . kubelet kubectl                              other tools of this module
  go run . -module ../containerd containerd ctr         tools of another module
  go run . -module ../certmanager certmanager           a package of that module's own, which its go.mod names as a tool
  go run . -kubernetes v1.31 etcd kube-apiserver        the newest patch release of another Kubernetes; etcd is as pinned

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := folderOf(ctx, os.Stderr, *module, *version, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "binaries:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}

// folderOf returns the folder with the binaries that the command line asks for.
func folderOf(ctx context.Context, progress io.Writer, module, version string, names []string) (string, error) {
	switch {
	case version == "":
		return assets(ctx, progress, module, names)
	case module != ".":
		return "", errors.New("-kubernetes is for the tools of this module, not for those of -module")
	}
	return versionAssets(ctx, progress, version, names)
}

// assets returns the folder with the binaries, building those that are missing.
func assets(ctx context.Context, progress io.Writer, module string, names []string) (string, error) {
	wanted := names
	if len(names) == 0 {
		wanted = controlPlane
	}
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" && module == "." {
		missing := slices.IndexFunc(wanted, func(name string) bool { return !exists(filepath.Join(dir, name)) })
		if missing < 0 {
			return dir, nil
		}
		// setup-envtest has only the control plane: other programs are built.
		if len(names) == 0 {
			return "", fmt.Errorf("KUBEBUILDER_ASSETS is %q, but it has no %s", dir, wanted[missing])
		}
	}
	known, err := tools(ctx, module)
	if err != nil {
		return "", err
	}
	binaries, err := pick(known, module, wanted)
	if err != nil {
		return "", err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, folder(known))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, b := range binaries {
		if exists(filepath.Join(dir, b.name)) {
			continue
		}
		if err := build(ctx, progress, module, b, dir); err != nil {
			return "", fmt.Errorf("building %s: %w", b.name, err)
		}
	}
	return dir, nil
}

// pick returns the tools of those names, among those that the module in a folder names.
func pick(known []tool, module string, names []string) (picked []tool, err error) {
	for _, name := range names {
		n := slices.IndexFunc(known, func(t tool) bool { return t.name == name })
		if n < 0 {
			return nil, fmt.Errorf("%q is not one of the binaries that this builds: the tools of %s", name, filepath.Join(module, "go.mod"))
		}
		picked = append(picked, known[n])
	}
	return picked, nil
}

// cacheFolder returns the folder that has a folder for each set of versions.
func cacheFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a cache folder: %w (set KUBEBUILDER_ASSETS to use binaries of your own)", err)
	}
	return filepath.Join(cache, "dagger-inject"), nil
}

// folder names the folder of a module's tools after the versions that they have, so that none is of another one.
func folder(known []tool) string {
	var versions []string
	for _, t := range known {
		versions = append(versions, base(t.module)+"-"+t.version)
	}
	slices.Sort(versions)
	versions = slices.Compact(versions)
	slices.Reverse(versions)
	return strings.Join(append(versions, runtime.GOOS, runtime.GOARCH), "-")
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
