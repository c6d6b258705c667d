package oci

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build says how a Go program is compiled for an image.
type Build struct {
	// Dir is the folder of the program's module; Package is what is built, as in ./cmd/tool.
	Dir, Package string
	// Arch is a GOARCH.
	Arch string
	// LDFlags are the linker's, as in -s -w -X main.version=v1.
	LDFlags string
}

// Compile returns a static Linux executable that depends on the sources and the Go version alone: neither on the folder, nor
// on version control, nor on the machine. An error has the compiler's output.
func Compile(ctx context.Context, b Build) ([]byte, error) {
	dir, err := os.MkdirTemp("", "compile-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", b.LDFlags, "-o", file, b.Package)
	cmd.Dir = b.Dir
	// The instruction set's baseline and the experiments end up in the executable: they are not taken from the environment.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.Arch,
		"GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOWORK=off")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build %s for linux/%s in %s: %w\n%s", b.Package, b.Arch, b.Dir, err, output.Bytes())
	}
	return os.ReadFile(file)
}
