//go:build !js

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/check"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

type checkAPIFlags struct {
	namespace string
	timeout   time.Duration
	output    string
	clusterAccess
}

func newCheckAPICommand(s streams) *cobra.Command {
	var f checkAPIFlags
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Check that the API server reaches the webhook",
		Long: `Check that the API server reaches the webhook: create a pod that asks for injection, as a dry run, until the webhook answers.

Any reasoned answer of the webhook will do, a refusal too, and is printed. Any other answer is printed with its usual causes whenever it
changes. Nothing is stored. It takes the right to create pods in the namespace.

The exit code is 0 when the webhook answered, 1 when it did not, and 2 when an argument is wrong.`,
		Example: `  dagger-inject check api
  dagger-inject check api --namespace ci --timeout 5s -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCheckAPI(cmd.Context(), s, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.namespace, "namespace", "default", "namespace of the pod: one that the webhook configuration does not exclude")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "how long the webhook has to answer")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	f.addFlags(cmd)
	return cmd
}

func runCheckAPI(ctx context.Context, s streams, f *checkAPIFlags) error {
	switch {
	case f.namespace == "":
		return badInputf("--namespace is empty: name the namespace that the pod is to be in")
	case f.timeout <= 0:
		return badInputf("--timeout %s is not accepted: it must be more than zero", f.timeout)
	case f.output != "text" && f.output != "json":
		return badInputf("--output %q is not accepted: accepted is text or json", f.output)
	}
	config, err := f.config()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	answer := apicheck.Wait(limited, config, f.namespace, func(a apicheck.Answer) {
		if !a.Reached() {
			_ = terminal.Line(s.err, "not yet: %s", a)
		}
	})
	if answer.Outcome == apicheck.Unreachable {
		answer.Causes = append(certificateCauses(ctx, &f.clusterAccess), answer.Causes...)
	}
	if err := ctx.Err(); err != nil {
		return errors.New("interrupted: " + answer.String())
	}
	if f.output == "json" {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
	if answer.Reached() {
		if f.output == "text" {
			err = terminal.Line(s.out, "%s", answer)
		}
		return err
	}
	return explainAnswer(answer)
}

// certificateCauses returns what is wrong with the webhook's certificate according to cert-manager. These known causes come
// before the usual ones. A user who may not read cert-manager's objects sees only the usual ones.
func certificateCauses(ctx context.Context, access *clusterAccess) []string {
	reader, err := access.client()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return check.CertManager(ctx, check.Options{Reader: reader, ReleaseNamespace: cluster.ReleaseNamespace(ctx, reader), Now: time.Now()})
}

// explainAnswer names the usual causes.
func explainAnswer(a apicheck.Answer) error {
	lines := severalLines{a.String()}
	if len(a.Causes) > 0 {
		lines = append(lines, "Usual causes:")
	}
	for _, cause := range a.Causes {
		lines = append(lines, "  - "+cause)
	}
	return lines
}
