// Command matrix runs the tests of test/suite/integration against the API server in $KUBEBUILDER_ASSETS, and records for the support
// matrix what passed, what was skipped and what failed: `make matrix VERSION=v1.31`.
//
// With RUNNERS=1 the runner systems' own code creates pods too, as make runners has it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	output := flag.String("o", "test/suite/matrix/results", "folder of the results, one file a minor version of Kubernetes")
	document := flag.String("page", "docs/support.md", "the page that is written from all results")
	flag.Usage = func() {
		_, _ = fmt.Fprint(flag.CommandLine.Output(), `Run the tests against the API server in $KUBEBUILDER_ASSETS, and record the result.

  assets=$(cd test/rig/binaries && go run . -kubernetes v1.31 etcd kube-apiserver)
  KUBEBUILDER_ASSETS=$assets go run ./test/suite/matrix

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *output, *document); err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// errFailed is the end of a run that was recorded.
var errFailed = errors.New("tests failed")

func run(ctx context.Context, progress io.Writer, folder, document string) error {
	assets, err := filepath.Abs(os.Getenv("KUBEBUILDER_ASSETS"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(assets, "kube-apiserver")); err != nil {
		return fmt.Errorf("KUBEBUILDER_ASSETS is to name the folder of the API server to test: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout", "50m", "./test/suite/integration")
	cmd.Env = append(os.Environ(), "KUBEBUILDER_ASSETS="+assets)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	cmd.Stderr = progress
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c, readErr := gather(events, progress)
	runErr := cmd.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	r, err := c.result(time.Now().UTC().Format(time.DateOnly))
	if err != nil {
		return errors.Join(err, runErr)
	}
	file, err := r.write(folder)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "%s: %s\n", file, r.sentence())
	all, err := read(folder)
	if err != nil {
		return err
	}
	if err := os.WriteFile(document, []byte(page(all)), 0o644); err != nil {
		return err
	}
	if runErr != nil {
		return fmt.Errorf("%w: %s", errFailed, strings.Join(r.Failed, ", "))
	}
	return nil
}

// gather reads the events of go test -json, and writes what somebody who waits wants to see of them.
func gather(events io.Reader, progress io.Writer) (*collector, error) {
	c := &collector{tests: map[string]*test{}}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		if len(line) > 0 {
			var e event
			if jsonErr := json.Unmarshal(line, &e); jsonErr != nil {
				return nil, fmt.Errorf("go test -json: %q: %w", line, jsonErr)
			}
			show(progress, e, c.take(e))
		}
		if err == io.EOF {
			return c, nil
		}
	}
}

// show writes how each function ended, and all that a test wrote that failed.
func show(progress io.Writer, e event, t *test) {
	switch {
	case t == nil:
		if e.Output != "" && e.Output != "PASS\n" && e.Output != "FAIL\n" {
			_, _ = io.WriteString(progress, e.Output)
		}
	case e.Action == "fail":
		_, _ = io.WriteString(progress, t.output)
	case (e.Action == "pass" || e.Action == "skip") && !strings.Contains(e.Test, "/"):
		_, _ = fmt.Fprintf(progress, "%s %s %.0fs\n", e.Action, e.Test, e.Elapsed)
	}
}

// sentence says in short what the result is.
func (r *result) sentence() string {
	all := r.total()
	return fmt.Sprintf("Kubernetes %s: %d tests passed, %d skipped, %d failed", r.Kubernetes, all.Passed, all.Skipped, all.Failed)
}
