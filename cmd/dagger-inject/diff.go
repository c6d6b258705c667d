//go:build !js

package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/explain"
	"github.com/dagger-inject/dagger-inject/internal/fleet"
)

// exitDiffers is diff's exit code if something differs.
const exitDiffers = 3

type diffFlags struct {
	namespace     string
	allNamespaces bool
	policy        string
	cluster       []string
	kubeVersion   string
	clusterAccess
	releaseNamespace string
	output           string
}

func newDiffCommand(s streams) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Compare what running pods got with what new ones would get",
		Long: `Compare what running pods got, by their status annotation, with what new ones would get now: after a change of the policy, with
another engine, or for pods that were created while the webhook was away. Pods of one workload that have got the same are one row.

With --policy, compare what new pods get now with what they would get if FILE were the cluster's policy, before it is applied: for
the running pods, for the workloads that ask and have none, and for a CI job in each namespace that asks. Policies of namespaces
refine FILE as they would in the cluster.

The exit code is 0 when nothing differs, 3 when something does, 2 when the input is bad, and 1 when nothing
is known to differ and something could not be read.`,
		Example: `  dagger-inject diff -n ci
  dagger-inject diff -A --policy new-policy.yaml

  # By what a cluster had at some time; explain --help says how to record it
  dagger-inject diff -A --cluster cluster.yaml -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDiff(cmd.Context(), s, &f) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace to compare (default: the context's)")
	flags.BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "compare all namespaces")
	flags.StringVar(&f.policy, "policy", "", "policy to compare with, in place of the cluster's: a document, or the ConfigMap with documents")
	flags.StringArrayVar(&f.cluster, "cluster", nil, "manifests to read instead of the cluster; may be repeated")
	flags.StringVar(&f.kubeVersion, "kube-version", defaultKubeVersion, kubeVersionHelp)
	f.addFlags(cmd)
	flags.StringVar(&f.releaseNamespace, "release-namespace", "", releaseNamespaceHelp)
	flags.StringVarP(&f.output, "output", "o", "", "output format: json or yaml; a table without it")
	return cmd
}

func runDiff(ctx context.Context, s streams, f *diffFlags) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	now, err := f.explainer(ctx)
	if err != nil {
		return err
	}
	o := fleet.Options{Reader: now.Reader, Now: now, Namespace: f.namespace}
	switch {
	case f.allNamespaces:
		o.Namespace = ""
	case f.namespace == "" && len(f.cluster) > 0:
		o.Namespace = "default"
	case f.namespace == "":
		o.Namespace = f.contextNamespace()
	}
	if f.policy != "" {
		documents, err := loadDocuments(f.policy, config.OriginCluster)
		if err != nil {
			return err
		}
		if err := inject.NewPolicies(documents, nil, nil).Err(); err != nil {
			return badInput{severalLines(policyErrors(err))}
		}
		proposed := *now
		proposed.ClusterPolicy, o.Proposed = documents, &proposed
	}
	report, err := fleet.Compare(ctx, o)
	if err != nil {
		return err
	}
	if f.output != "" {
		err = writeObject(s.out, f.output, report)
	} else {
		err = report.Text(s.out)
	}
	switch {
	case err != nil:
		return err
	case report.Changed():
		return exitError{errSaid, exitDiffers}
	case len(report.Unreadable) > 0:
		return exitError{errSaid, exitFailure} // nothing is known to differ, and not everything is known
	}
	return nil
}

// explainer explains by the cluster, or by manifests that stand for one.
func (f *diffFlags) explainer(ctx context.Context) (*explain.Explainer, error) {
	e := &explain.Explainer{Offline: len(f.cluster) > 0, Version: version}
	var reader client.Reader
	if e.Offline {
		objects, err := readManifests(f.cluster)
		if err != nil {
			return nil, err
		}
		if e.Cluster.ImageVolumes, err = hasImageVolumes(f.kubeVersion); err != nil {
			return nil, err
		}
		reader = objects
	} else {
		c, err := f.client()
		if err != nil {
			return nil, err
		}
		if e.Cluster.ImageVolumes, err = f.imageVolumes(); err != nil {
			return nil, err
		}
		reader = c
	}
	e.Reader = cluster.NewMemo(reader)
	e.ReleaseNamespace = cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, e.Reader))
	return e, nil
}
