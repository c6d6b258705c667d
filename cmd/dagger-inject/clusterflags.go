package main

import "github.com/spf13/cobra"

const releaseNamespaceHelp = "namespace that the webhook runs in, with the cluster's policy " +
	"(default: the one that the webhook configuration leads to, else dagger-inject)"

const kubeconfigHelp = "kubeconfig file (default: $KUBECONFIG, else ~/.kube/config, else the pod's own service account)"

// clusterAccess is how a command reaches the cluster.
type clusterAccess struct {
	kubeconfig, context string
}

// addFlags adds the flags of kubectl that say which cluster is meant.
func (a *clusterAccess) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.kubeconfig, "kubeconfig", "", kubeconfigHelp)
	cmd.Flags().StringVar(&a.context, "context", "", "context of the kubeconfig file to use (default: the current one)")
}
