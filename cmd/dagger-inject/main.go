// Command dagger-inject connects the pods that ask for it to a Dagger Engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// The exit codes of every command.
const (
	exitFailure  = 1
	exitBadInput = 2
)

// badInput is an error in what the user supplied: arguments, files, documents.
type badInput struct{ error }

func (b badInput) Unwrap() error { return b.error }

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

// severalLines is an error that says more than fits into a line.
type severalLines []string

func (s severalLines) Error() string { return strings.Join(s, "\n") }

// complain writes an error in one line, since newlines in it come from its subject, such as a manifest. Only those of
// severalLines are kept.
func complain(w io.Writer, err error) {
	lines := []string{err.Error()}
	var several severalLines
	if errors.As(err, &several) {
		wrapped := strings.TrimSuffix(err.Error(), several.Error())
		lines = append([]string{wrapped + several[0]}, several[1:]...)
	}
	for i, line := range lines {
		if i == 0 {
			line = "dagger-inject: " + line
		}
		_ = terminal.Line(w, "%s", line)
	}
}

func badInputf(format string, args ...any) error { return badInput{fmt.Errorf(format, args...)} }

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSaid) {
		complain(s.err, err)
	}
	var bad badInput
	var coded exitError
	switch {
	case errors.As(err, &bad):
		return exitBadInput
	case errors.As(err, &coded):
		return coded.code
	}
	return exitFailure
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "dagger-inject",
		Short: "Make CI runner pods able to use a Dagger Engine",
		Long: `dagger-inject is a mutating admission webhook for Kubernetes. A pod labelled dagger.io/inject=true, or a CI job in a
namespace so labelled, leaves admission able to reach a Dagger Engine, with a dagger command that fits it.`,
		Example: `  # See what would be done with a pod, without a cluster
  dagger-inject inject -f pod.yaml -o diff

  # In a cluster: is the installation healthy, and why has a pod an engine or none?
  dagger-inject check
  dagger-inject explain pod runner-x7k2m -n ci

  # Serve the webhook without a cluster, to post an AdmissionReview to
  dagger-inject webhook --standalone --port 8443 --cert-dir certs`,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	// Cobra's own errors about flags and arguments are bad input.
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return badInputf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(newInjectCommand(s), newExplainCommand(s), newLintCommand(s), newVersionCommand(s))
	addForClusters(root, s)
	return root
}

// knownCommand refuses an unknown command and suggests the closest one.
func knownCommand(parent *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + parent.CommandPath() + " --help"
	parent.SuggestionsMinimumDistance = 2
	if close := parent.SuggestionsFor(args[0]); len(close) > 0 {
		hint = "did you mean " + close[0] + "?"
	}
	return badInputf("unknown command %q: %s", args[0], hint)
}

// noArguments refuses arguments and points to the command's help.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return badInputf("%s takes no arguments, got %q (see %s --help)", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}
