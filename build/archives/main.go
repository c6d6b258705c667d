// Command archives builds what people install beside the image: the program for each platform in an archive, as a plugin of kubectl
// too, and the manifest by which krew finds the archives. `make archives` runs it.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const usage = `Build the program for each platform, in an archive with kubectl's plugin, and krew's manifest of them.

Writes dagger-inject_VERSION_OS_ARCH.tar.gz, for Windows .zip, checksums.txt and dagger.yaml. The same sources, flags and Go version
give the same bytes.

Example:
  archives --source . --output bin --version v1.2.3 --revision "$(git rev-parse HEAD)" --created "$(git log -1 --format=%ct)"

Flags:
`

// platforms are those that krew and the release's page offer.
const platforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "archives:", err)
		os.Exit(1)
	}
}

// release is what archives are built from.
type release struct {
	source, version, revision, url string
	created                        time.Time
}

func run(ctx context.Context, args []string, progress io.Writer) error {
	flags := flag.NewFlagSet("archives", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.Usage = func() {
		_, _ = io.WriteString(progress, usage)
		flags.PrintDefaults()
	}
	var r release
	flags.StringVar(&r.source, "source", ".", "the `folder` of dagger-inject's sources")
	flags.StringVar(&r.version, "version", "v0.0.0", "the `version`, as in v1.2.3")
	flags.StringVar(&r.revision, "revision", "", "the commit's `hash`")
	flags.StringVar(&r.url, "url", "https://github.com/dagger-inject/dagger-inject/releases/download", "where releases are put up")
	output := flags.String("output", "bin", "the `folder` to write to")
	created := flags.String("created", os.Getenv("SOURCE_DATE_EPOCH"), "the commit's time in Unix `seconds`; default: $SOURCE_DATE_EPOCH")
	wanted := flags.String("platforms", platforms, "the `platforms`, separated by commas")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	seconds, err := strconv.ParseInt(*created, 10, 64)
	if err != nil {
		return fmt.Errorf("--created %q is no number of seconds: give the commit's, as `git log -1 --format=%%ct` prints it", *created)
	}
	r.created = time.Unix(seconds, 0).UTC()
	return r.write(ctx, strings.Split(*wanted, ","), *output, progress)
}

// write builds all archives, and what lists them.
func (r *release) write(ctx context.Context, platforms []string, dir string, progress io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var built []archive
	var sums strings.Builder
	for _, platform := range platforms {
		system, arch, ok := strings.Cut(platform, "/")
		if !ok {
			return fmt.Errorf("--platforms %q: want OS/ARCH, as in linux/amd64", platform)
		}
		_, _ = fmt.Fprintf(progress, "building %s\n", platform)
		a, err := r.build(ctx, system, arch)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, a.name), a.data, 0o644); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&sums, "%s  %s\n", a.sum, a.name)
		built = append(built, a)
	}
	manifest, err := r.krew(built)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "dagger.yaml"), manifest, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "checksums.txt"), []byte(sums.String()), 0o644)
}

// build compiles the program for a platform and packs it.
func (r *release) build(ctx context.Context, system, arch string) (archive, error) {
	folder, err := os.MkdirTemp("", "archives")
	if err != nil {
		return archive{}, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", path,
		"-ldflags", fmt.Sprintf("-s -w -X main.version=%s -X main.revision=%s", r.version, r.revision), "./cmd/dagger-inject")
	cmd.Dir = r.source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return archive{}, fmt.Errorf("building for %s/%s: %w\n%s", system, arch, err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return archive{}, err
	}
	a := archive{system: system, arch: arch, name: fmt.Sprintf("dagger-inject_%s_%s_%s", r.version, system, arch)}
	files, err := r.files(system, program)
	if err != nil {
		return archive{}, err
	}
	if system == "windows" {
		a.name += ".zip"
		a.data, err = zipped(files, r.created)
	} else {
		a.name += ".tar.gz"
		a.data, err = tarred(files, r.created)
	}
	sum := sha256.Sum256(a.data)
	a.sum = hex.EncodeToString(sum[:])
	return a, err
}

// files are those of an archive. krew refuses archives with links in them (sigs.k8s.io/krew, internal/download), and makes the one
// that kubectl needs itself.
func (r *release) files(system string, program []byte) ([]file, error) {
	files := []file{{name: programName(system), data: program, executable: true}}
	license, err := os.ReadFile(filepath.Join(r.source, "LICENSE"))
	if err != nil {
		return nil, err
	}
	files = append(files, file{name: "LICENSE", data: license})
	if system == "windows" {
		return files, nil
	}
	complete, err := os.ReadFile(filepath.Join(r.source, "build/plugin/kubectl_complete-dagger"))
	if err != nil {
		return nil, err
	}
	return append(files, file{name: "kubectl_complete-dagger", data: complete, executable: true}), nil
}

func programName(system string) string {
	if system == "windows" {
		return "dagger-inject.exe"
	}
	return "dagger-inject"
}
