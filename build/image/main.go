// Command image builds the image of dagger-inject as an OCI archive, without a daemon and reproducibly. `make image` runs it.
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
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dagger-inject/dagger-inject/build/image/oci"
)

const usage = `Build the image of dagger-inject for linux, and print its reference with its digest.

Writes dagger-inject.oci.tar, which ctr, docker, podman and skopeo load, and dagger-inject-linux-ARCH.spdx.json, what each
executable is made of. The same sources, flags and Go version give the same digest.

Example:
  image --source ../.. --output ../../bin --version v1.2.3 --revision "$(git rev-parse HEAD)" --created "$(git log -1 --format=%ct)"

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.Usage = func() {
		_, _ = io.WriteString(progress, usage)
		flags.PrintDefaults()
	}
	var r release
	flags.StringVar(&r.source, "source", ".", "the `folder` of dagger-inject's sources")
	flags.StringVar(&r.version, "version", "dev", "the `version` that the executable and the labels say, and the image's tag")
	flags.StringVar(&r.revision, "revision", "", "the commit's `hash`")
	repository := flags.String("name", "ghcr.io/dagger-inject/dagger-inject", "the image's `repository`")
	output := flags.String("output", ".", "the `folder` to write to")
	architectures := flags.String("arch", "amd64,arm64", "the `architectures`, separated by commas: a release has both")
	created := flags.String("created", os.Getenv("SOURCE_DATE_EPOCH"), "the commit's time in Unix `seconds`; default: $SOURCE_DATE_EPOCH")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("takes no arguments, got %q (see --help)", flags.Arg(0))
	}
	seconds, err := strconv.ParseInt(*created, 10, 64)
	if err != nil {
		return fmt.Errorf("--created %q is no number of seconds: give the commit's, as `git log -1 --format=%%ct` prints it", *created)
	}
	r.created = time.Unix(seconds, 0).UTC()
	r.architectures = strings.Split(*architectures, ",")
	for i, arch := range r.architectures {
		if (arch != "amd64" && arch != "arm64") || slices.Contains(r.architectures[:i], arch) {
			return fmt.Errorf("--arch %q: want amd64, arm64, or amd64,arm64", *architectures)
		}
	}
	return r.write(ctx, *output, *repository+":"+r.version, out, progress)
}

// write builds the image and writes its archive and SBOMs into a folder.
func (r *release) write(ctx context.Context, dir, name string, out, progress io.Writer) error {
	if err := oci.CheckName(name); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var images []v1.Image
	for _, arch := range r.architectures {
		_, _ = fmt.Fprintf(progress, "building linux/%s\n", arch)
		image, document, err := r.image(ctx, arch)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "dagger-inject-linux-"+arch+".spdx.json"), document, 0o644); err != nil {
			return err
		}
		images = append(images, image)
	}
	index, err := oci.Index(r.labels(), images...)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if err := oci.WriteArchive(filepath.Join(dir, "dagger-inject.oci.tar"), oci.Named{Name: name, Image: index}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s@%s\n", name, digest)
	return err
}
