package main

import (
	"cmp"
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/check"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

type checkFlags struct {
	namespace        string
	releaseNamespace string
	output           string
	kubeconfig       string
}

func newCheckCommand(s streams) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that a cluster is set up for injection",
		Long: `Check that a cluster is set up for injection: the webhook's configurations, replicas and certificate, whether the API server
reaches it, the policies, the engines, the namespaces that ask for injection, and the pods that asked and were not injected.

Each line is a finding: ok, warn or fail, with the remedy. An object that may not be read is a warning. The exit code is 1 when
something fails. Nothing is stored; trying the API server takes the right to create pods, as a dry run.`,
		Example: `  dagger-inject check
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
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", kubeconfigHelp)
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
	restConfig, err := clusterConfig(f.kubeconfig)
	if err != nil {
		return err
	}
	reader, err := clusterClient(f.kubeconfig)
	if err != nil {
		return err
	}
	namespace := f.namespace
	if namespace == "" {
		namespace = "default"
	}
	release := cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, reader))
	return printFindings(s, f.output, check.Run(ctx, check.Options{
		Reader: reader, Now: time.Now(), Version: version, Namespace: f.namespace, ReleaseNamespace: release,
		MayReadPods: func(ctx context.Context, namespace string) (bool, error) {
			return cluster.WebhookMayReadPods(ctx, reader, release, namespace)
		},
		Ask: func(ctx context.Context) apicheck.Answer {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			return apicheck.Once(ctx, restConfig, namespace)
		},
	}))
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
