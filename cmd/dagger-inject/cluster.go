package main

import (
	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

const releaseNamespaceHelp = "namespace that the webhook runs in, with the cluster's policy " +
	"(default: the one that the webhook configuration leads to, else dagger-inject)"

const kubeconfigHelp = "kubeconfig file (default: $KUBECONFIG, else ~/.kube/config, else the pod's own service account)"

// clusterConfig returns how to reach the cluster. Its error is bad input: there is no kubeconfig, or it cannot be read.
func clusterConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	restConfig, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, badInputf("finding the cluster: there is no kubeconfig: give --kubeconfig FILE, or set KUBECONFIG")
	}
	if err != nil {
		return nil, badInputf("finding the cluster: %w", err)
	}
	return restConfig, nil
}

// clusterClient returns a client of the cluster without client-side rate limits.
func clusterClient(kubeconfig string) (client.Client, error) {
	restConfig, err := clusterConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	restConfig.QPS, restConfig.WarningHandler = -1, rest.NoWarnings{}
	// Without a logger the library complains into the output of a command that runs for half a minute, as engine --watch does.
	log.SetLogger(logr.Discard())
	return client.New(restConfig, client.Options{Scheme: cluster.Scheme})
}
