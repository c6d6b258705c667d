//go:build !js

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

const (
	firstPause  = 20 * time.Millisecond
	longestWait = 2 * time.Second // of a pause, and of one attempt
	// reportEvery is the interval between lines while nothing changes.
	reportEvery    = 10 * time.Second
	defaultTimeout = 2 * time.Minute
	// maxTermination is how many bytes of a termination message the kubelet reads.
	maxTermination     = 4096
	defaultTermination = "/dev/termination-log"
	// anyVersion stands for an unknown client.
	anyVersion = "any"
)

type waitFlags struct {
	host           string
	timeout        time.Duration
	expectVersion  string
	onTimeout      string
	terminationLog string
	// ownLog is true if the user chose the file for the termination message, which is then created if it does not exist.
	ownLog bool
}

func newWaitCommand(s streams) *cobra.Command {
	var f waitFlags
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a Dagger Engine answers, or say why none does",
		Long: `Wait until a Dagger Engine answers, or say why none does. A client is silent for ten minutes about an engine that it cannot reach.

The host is what clients have in _EXPERIMENTAL_DAGGER_RUNNER_HOST: unix:///PATH, tcp://HOST:PORT, or
tls://HOST:PORT?ca_path=FILE&cert_path=FILE&key_path=FILE, whose files are all optional (cert_path and key_path: both or neither).

The command prints each new problem, and at least one line every ` + reportEvery.String() + `. When it gives up, it also writes the last problem
to the termination message, which kubectl describe shows.

Exit codes:
   0  an engine answers, or none did and --on-timeout is continue
   1  a signal ended the wait
   2  an argument is wrong
` + causesHelp(),
		Example: `  dagger-inject wait --host unix:///run/dagger/engine.sock --timeout 2m
  dagger-inject wait --host tcp://dagger-engine.ci.svc:1234 --expect-version v0.21.8 --on-timeout continue`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.ownLog = cmd.Flags().Changed("termination-log")
			return runWait(cmd, s, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.host, "host", "", "URL of the engine, of the scheme unix, tcp or tls (required)")
	flags.DurationVar(&f.timeout, "timeout", defaultTimeout, "how long to wait")
	flags.StringVar(&f.expectVersion, "expect-version", "",
		"version of the client that will be used: one that cannot work with the engine's is a failure, any other difference is printed; "+
			"any if it is not known: every engine will do, where without it one too old for a current client is a failure")
	flags.StringVar(&f.onTimeout, "on-timeout", "fail", "what to do if no engine answers: fail, or continue with exit code 0")
	flags.StringVar(&f.terminationLog, "termination-log", defaultTermination,
		"file to write the reason of a failure to; the default is used only if it exists, empty means none")
	return cmd
}

func causesHelp() string {
	var lines []string
	for _, c := range probe.Causes() {
		lines = append(lines, fmt.Sprintf("  %2d  %s: %s", c.ExitCode(), c, c.Sentence()))
	}
	return strings.Join(lines, "\n")
}

func runWait(cmd *cobra.Command, s streams, f *waitFlags) error {
	if f.host == "" {
		return badInputf("missing --host: the URL of the engine (see %s --help)", cmd.CommandPath())
	}
	return waitForEngine(cmd.Context(), s, f)
}

// waitForEngine returns an exitError with the cause's code where no engine answers.
func waitForEngine(ctx context.Context, s streams, f *waitFlags) error {
	switch {
	case f.timeout <= 0:
		return badInputf("--timeout %s is not accepted: it must be more than zero", f.timeout)
	case f.onTimeout != "fail" && f.onTimeout != "continue":
		return badInputf("--on-timeout %q is not accepted: accepted is fail or continue", f.onTimeout)
	}
	host, err := probe.ParseHost(f.host)
	if err != nil {
		return badInputf("--host: %w", err)
	}
	if f.expectVersion != "" && f.expectVersion != anyVersion {
		if err := engine.CheckVersion(f.expectVersion); err != nil {
			return badInputf("--expect-version: %w", err)
		}
	}
	w := waiter{flags: f, host: host, streams: s, start: time.Now()}
	err = w.wait(ctx)
	if err == nil {
		return nil
	}
	if logErr := f.writeTermination(err.Error()); logErr != nil {
		_ = terminal.Line(s.err, "The termination message cannot be written: %v", logErr)
	}
	var failed *probe.Error
	if !errors.As(err, &failed) {
		return err
	}
	if f.onTimeout == "continue" {
		complain(s.err, err)
		_ = terminal.Line(s.err, "Continuing without an engine, as --on-timeout says.")
		return nil
	}
	return exitError{err, failed.Cause.ExitCode()}
}

// waiter is one wait.
type waiter struct {
	flags   *waitFlags
	host    probe.Host
	streams streams
	start   time.Time

	reported   probe.Cause
	reportedAt time.Time
}

// wait tries until an engine answers. It retries every failure, even one that looks final: while an engine is replaced, the old
// one may be too old for the client, and the new one's socket may not have its group yet.
func (w *waiter) wait(ctx context.Context) error {
	deadline := w.start.Add(w.flags.timeout)
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestWait) {
		line, err := w.attempt(ctx, deadline)
		switch {
		case err == nil:
			return terminal.Line(w.streams.out, "%s", line)
		case ctx.Err() != nil:
			return w.interrupted(ctx, last)
		case last == nil || time.Now().Before(deadline):
			last = err // an attempt that the deadline cut short says less than the one before
		}
		if !time.Now().Add(pause).Before(deadline) {
			pause = max(time.Until(deadline), 0)
		}
		if time.Now().Before(deadline) {
			w.report(err)
		}
		select {
		case <-ctx.Done():
			return w.interrupted(ctx, last)
		case <-time.After(pause):
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("no engine to use at %s within %s. %w", w.host, w.flags.timeout, last)
		}
	}
}

// attempt tries once. It returns a line that describes what answered.
func (w *waiter) attempt(ctx context.Context, deadline time.Time) (line string, err error) {
	limit := time.Now().Add(longestWait)
	if deadline.Before(limit) {
		limit = deadline
	}
	bounded, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	info, err := probe.Probe(bounded, w.host)
	if err != nil {
		return "", err
	}
	note := ""
	if w.flags.expectVersion != anyVersion {
		if note, err = probe.Compatible(info.Version, w.flags.expectVersion); err != nil {
			return "", err
		}
	}
	line = fmt.Sprintf("A Dagger Engine %q (%q) answers at %s after %s", info.Version, info.Revision, w.host, w.elapsed())
	if note != "" {
		line += ": " + note
	}
	return line + ".", nil
}

// report logs why there is no engine yet, whenever the reason changes and at regular intervals.
func (w *waiter) report(err error) {
	var failed *probe.Error
	if !errors.As(err, &failed) {
		return
	}
	if failed.Cause == w.reported && time.Since(w.reportedAt) < reportEvery {
		return
	}
	w.reported, w.reportedAt = failed.Cause, time.Now()
	_ = terminal.Line(w.streams.err, "Waiting for an engine at %s (%s of %s). %v", w.host, w.elapsed(), w.flags.timeout, err)
}

func (w *waiter) elapsed() time.Duration { return time.Since(w.start).Round(time.Millisecond) }

// interrupted returns the error of a wait that a signal ended. It has no cause, because it says nothing about the engine.
func (w *waiter) interrupted(ctx context.Context, last error) error {
	text := fmt.Sprintf("stopped after %s (%v) before an engine answered at %s", w.elapsed(), context.Cause(ctx), w.host)
	if last != nil {
		text += ". " + last.Error()
	}
	return errors.New(text)
}

// writeTermination writes a text where the kubelet looks for it.
func (f *waitFlags) writeTermination(text string) error {
	mode := os.O_WRONLY | os.O_TRUNC
	if f.ownLog {
		mode |= os.O_CREATE
	}
	if f.terminationLog == "" {
		return nil
	}
	file, err := os.OpenFile(f.terminationLog, mode, 0o644)
	if errors.Is(err, os.ErrNotExist) && !f.ownLog {
		return nil // We do not run in a container.
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(truncate.Text(terminal.Escape(text), maxTermination))
	return errors.Join(err, file.Close())
}
