// Command images builds the images that a cluster without a registry runs in tests, as one OCI archive: the pause of its
// sandboxes, a runner with a shell, and a stand-in for each version of the Dagger Engine that test/data/engines deploys, under the very
// references that the official chart's manifests name.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dagger-inject/dagger-inject/build/image/oci"
)

// The names of images that no chart names.
const (
	pauseName  = "dagger-inject.test/pause:1"
	runnerName = "dagger-inject.test/runner:1"
)

// created is the time of all images: they are for the machine that built them.
var created = time.Unix(0, 0)

func main() {
	source := flag.String("source", "../../..", "the `folder` of dagger-inject's sources")
	output := flag.String("output", "images.tar", "the `file` to write")
	only := flag.String("only", "", "build only the stand-in for the engine image of that `reference`")
	size := flag.Int("cli-size", 0, "make the command of stand-ins that many `bytes` long, as that of a real engine is (0: as long as it is)")
	flag.Usage = func() {
		_, _ = fmt.Fprint(flag.CommandLine.Output(),
			"Build the test images as one OCI archive.\n\n  images --source ../../.. --output /tmp/images.tar\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *source, *output, *only, *size); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, source, output, only string, size int) error {
	shell, err := busybox(ctx)
	if err != nil {
		return err
	}
	var images []oci.Named
	add := func(name string, c oci.Config) error {
		c.Arch, c.Created = runtime.GOARCH, created
		image, err := oci.Image(c)
		images = append(images, oci.Named{Name: name, Image: image})
		return err
	}
	engines := []string{only}
	if only == "" {
		if err := addOwn(ctx, source, shell, add); err != nil {
			return err
		}
		if engines, err = engineNames(source); err != nil {
			return err
		}
	}
	for _, name := range engines {
		config, err := engine(ctx, source, name[strings.LastIndex(name, ":")+1:], shell, size)
		if err != nil {
			return err
		}
		if err := add(name, config); err != nil {
			return err
		}
	}
	return oci.WriteArchive(output, images...)
}

// addOwn adds the images that no chart names.
func addOwn(ctx context.Context, source string, shell []oci.File, add func(string, oci.Config) error) error {
	pause, err := oci.Compile(ctx, oci.Build{Dir: source, Package: "./test/suite/e2e/pause", Arch: runtime.GOARCH, LDFlags: "-s -w"})
	if err != nil {
		return err
	}
	if err := add(pauseName, oci.Config{Files: []oci.File{oci.Binary("/pause", pause)}, Entrypoint: []string{"/pause"},
		User: "65535:65535"}); err != nil {
		return err
	}
	// The shell of GitLab Runner's helper image has a name of its own.
	helper := oci.Binary("/usr/local/bin/gitlab-runner-build", []byte("#!/bin/sh\nexec /bin/sh\n"))
	return add(runnerName, oci.Config{Files: append(slices.Clone(shell), helper), Entrypoint: []string{"/bin/sh"}})
}

// engine describes the stand-in for an engine of a version, whose command has at least that many bytes.
func engine(ctx context.Context, source, version string, shell []oci.File, size int) (oci.Config, error) {
	program, err := oci.Compile(ctx, oci.Build{
		Dir: source, Package: "./test/suite/e2e/engine", Arch: runtime.GOARCH, LDFlags: "-s -w -X main.version=" + version,
	})
	if err != nil {
		return oci.Config{}, err
	}
	// An executable runs with anything behind it.
	if own := len(program); own < size {
		program = bytes.Repeat(program, size/own+1)[:size]
	}
	return oci.Config{
		Files: append(slices.Clone(shell),
			oci.Binary("/usr/local/bin/dagger", program),
			oci.Symlink("/usr/local/bin/dagger-engine", "dagger"),
			// Older charts mount the socket's folder at /var/run/buildkit.
			oci.Symlink("/var/run", "/run")),
		Entrypoint: []string{"dagger-engine"},
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			// Where the engine listens by default, and what the chart's probes ask.
			"_EXPERIMENTAL_DAGGER_RUNNER_HOST=unix://" + socket(version),
		},
	}, nil
}

var renamed = regexp.MustCompile(`^v0\.(\d|1[0-6])\.`)

// socket returns where the engines of a version listen.
func socket(version string) string {
	if renamed.MatchString(version) {
		return "/run/buildkit/buildkitd.sock"
	}
	return "/run/dagger/engine.sock"
}

// busybox returns Debian's static busybox as /bin/busybox, and a link for each of its commands.
func busybox(ctx context.Context) ([]oci.File, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("%w: install the package busybox-static", err)
	}
	list, err := exec.CommandContext(ctx, path, "--list").Output()
	if err != nil {
		return nil, err
	}
	files := []oci.File{{Path: "/bin/busybox", Mode: 0o755, Source: path}, oci.Dir("/tmp", 0o777|os.ModeSticky)}
	for command := range strings.FieldsSeq(string(list)) {
		if command != "busybox" {
			files = append(files, oci.Symlink("/bin/"+command, "busybox"))
		}
	}
	return files, nil
}

var image = regexp.MustCompile(`(?m)^ +image: (\S+)$`)

// engineNames returns the image references of the official chart's manifests.
func engineNames(source string) ([]string, error) {
	manifests, err := filepath.Glob(filepath.Join(source, "test", "data", "engines", "*", "manifests.yaml"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range manifests {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, found := range image.FindAllStringSubmatch(string(text), -1) {
			names = append(names, found[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
