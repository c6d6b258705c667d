//go:build !js

package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/check"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

type checkFlags struct {
	namespace        string
	releaseNamespace string
	output           string
	wait             bool
	timeout          time.Duration
	clusterAccess
}

func newCheckCommand(s streams) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that a cluster is set up for injection",
		Long: `Check that a cluster is set up for injection: the webhook's configurations, replicas and certificate, whether the API server
reaches it, the policies, the engines, the namespaces that ask for injection, and the pods that asked and were not injected.

Each line is a finding: ok, warn or fail, with the remedy. An object that may not be read is a warning. The exit code is 1 when
something fails. Nothing is stored; trying the API server takes the right to create pods, as a dry run.

With --wait, after an installation for example, the check is repeated until nothing fails any more; standard error says what it
waits for. Warnings are not waited for.`,
		Example: `  dagger-inject check
  dagger-inject check --wait --timeout 2m
  dagger-inject check -n ci -o json

  # Does the API server reach the webhook?
  dagger-inject check api`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return runCheck(cmd.Context(), s, &f) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", "",
		"namespace whose policy, pods and opt-in are checked (default: all), and in which a pod is tried (default: default)")
	flags.StringVar(&f.releaseNamespace, "release-namespace", "", releaseNamespaceHelp)
	flags.StringVarP(&f.output, "output", "o", "", "output format: json or yaml; a table without it")
	f.addFlags(cmd)
	flags.BoolVar(&f.wait, "wait", false, "check again until nothing fails")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Minute, "with --wait, how long at most")
	cmd.AddCommand(newCheckAPICommand(s))
	return cmd
}

// askTimeout bounds the question to the API server. The API server itself waits for a webhook for 30 seconds at most; ours asks
// for 3.
const askTimeout = 10 * time.Second

func runCheck(ctx context.Context, s streams, f *checkFlags) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if f.timeout <= 0 {
		return badInputf("--timeout %s is not accepted: it must be more than zero", f.timeout)
	}
	restConfig, err := f.config()
	if err != nil {
		return err
	}
	reader, err := f.client()
	if err != nil {
		return err
	}
	namespace := f.namespace
	if namespace == "" {
		namespace = "default"
	}
	run := func(ctx context.Context) []check.Finding {
		release := cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, reader))
		return check.Run(ctx, check.Options{
			Reader: reader, Now: time.Now(), Version: version, Namespace: f.namespace, ReleaseNamespace: release,
			MayReadPods: func(ctx context.Context, namespace string) (bool, error) {
				return cluster.WebhookMayReadPods(ctx, reader, release, namespace)
			},
			Ask: func(ctx context.Context) apicheck.Answer {
				ctx, cancel := context.WithTimeout(ctx, askTimeout)
				defer cancel()
				return apicheck.Once(ctx, restConfig, namespace)
			},
		})
	}
	if !f.wait {
		return printFindings(s, f.output, run(ctx))
	}
	waiting, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	findings := waitUntilHealthy(waiting, s, run)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return printFindings(s, f.output, findings)
}

// checkInterval is how long a check that waits pauses between two rounds.
const checkInterval = 2 * time.Second

// waitUntilHealthy checks until nothing fails or the context ends, and returns the last whole round. It writes what it waits for
// whenever that changes.
func waitUntilHealthy(ctx context.Context, s streams, run func(context.Context) []check.Finding) []check.Finding {
	ticks := time.NewTicker(checkInterval)
	defer ticks.Stop()
	var findings []check.Finding
	for last := ""; ; {
		now := run(ctx)
		if ctx.Err() == nil || findings == nil {
			findings = now // a round that was interrupted says only that
		}
		if ctx.Err() != nil || !check.Failed(findings) {
			return findings
		}
		failing := slices.DeleteFunc(slices.Clone(findings), func(f check.Finding) bool { return f.Level != check.Fail })
		var texts []string
		for _, f := range failing {
			texts = append(texts, f.Check+": "+f.Text)
		}
		if text := strings.Join(texts, "; "); text != last {
			_ = terminal.Line(s.err, "waiting: %s", text)
			last = text
		}
		select {
		case <-ctx.Done():
			return findings
		case <-ticks.C:
		}
	}
}

// printFindings prints the findings. The error that it returns carries the exit code.
func printFindings(s streams, output string, findings []check.Finding) error {
	var err error
	if output != "" {
		err = writeObject(s.out, output, findings)
	} else {
		err = check.Text(s.out, findings)
	}
	if err == nil && check.Failed(findings) {
		err = exitError{errSaid, exitFailure}
	}
	return err
}
