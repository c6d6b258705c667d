// Command engine stands in for a Dagger Engine and for its CLI where neither can be had: it listens where an engine of its version
// listens and answers what `dagger-inject wait` asks, and as the CLI it prints what the engine answered. It runs nothing.
//
// The image has it at /usr/local/bin/dagger, as the engine's own has the CLI, and as dagger-engine beside it: it is the engine by
// that name, and the CLI by any other.
//
// Unlike a real CLI, which is silent for ten minutes about an engine that it cannot reach, this one says at once what is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
)

// runnerHost is the variable that tells a client where its engine is, and the image's engine where to listen.
const runnerHost = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"

// version is the image's tag; the linker sets it.
var version = "v0.0.0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run, out := ask, os.Stdout
	if filepath.Base(os.Args[0]) == "dagger-engine" {
		run, out = serve, os.Stderr
	}
	if err := run(ctx, os.Args[1:], out); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

const usage = `Stand-in for the Dagger CLI.

  dagger version         print the CLI's version
  dagger core version    print what the engine at $_EXPERIMENTAL_DAGGER_RUNNER_HOST answers
`

// ask is the CLI.
func ask(ctx context.Context, args []string, out io.Writer) error {
	switch fmt.Sprint(args) {
	case "[version]":
		_, err := fmt.Fprintf(out, "dagger %s\n", version)
		return err
	case "[core version]":
	default:
		_, err := io.WriteString(out, usage)
		return err
	}
	raw := os.Getenv(runnerHost)
	if raw == "" {
		return errors.New(runnerHost + " is not set")
	}
	host, err := probe.ParseHost(raw)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := probe.Probe(ctx, host)
	if err != nil {
		return err
	}
	if _, err := probe.Compatible(info.Version, version); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "engine=%s version=%s cli=%s uid=%d host=%s\n", info.Revision, info.Version, version, os.Getuid(), host)
	return err
}
