//go:build !js

package main

import (
	"fmt"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

func (a *clusterAccess) loading() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.context})
}

// config returns how to reach the cluster. Its error is bad input: there is no kubeconfig, or it cannot be read.
func (a *clusterAccess) config() (*rest.Config, error) {
	restConfig, err := a.loading().ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, badInputf("finding the cluster: there is no kubeconfig: give --kubeconfig FILE, or set KUBECONFIG")
	}
	if err != nil {
		return nil, badInputf("finding the cluster: %w", err)
	}
	return restConfig, nil
}

// contextNamespace returns the namespace of the context, which kubectl uses where none is given.
func (a *clusterAccess) contextNamespace() string {
	namespace, _, err := a.loading().Namespace()
	if err != nil || namespace == "" {
		return "default"
	}
	return namespace
}

// client returns a client of the cluster without client-side rate limits.
func (a *clusterAccess) client() (client.Client, error) {
	restConfig, err := a.config()
	if err != nil {
		return nil, err
	}
	restConfig.QPS, restConfig.WarningHandler = -1, rest.NoWarnings{}
	// Without a logger the library complains into the output of a command that runs for half a minute, as engine --watch does.
	log.SetLogger(logr.Discard())
	return client.New(restConfig, client.Options{Scheme: cluster.Scheme})
}

// imageVolumes asks the API server for its version, and returns whether it has image volumes.
func (a *clusterAccess) imageVolumes() (bool, error) {
	restConfig, err := a.config()
	if err != nil {
		return false, err
	}
	return imageVolumesOf(restConfig)
}

// imageVolumesOf asks an API server for its version.
func imageVolumesOf(restConfig *rest.Config) (bool, error) {
	server, err := discovery.NewDiscoveryClientForConfig(restConfig)
	if err != nil {
		return false, err
	}
	kube, err := server.ServerVersion()
	if err != nil {
		return false, fmt.Errorf("asking the cluster for its version: %w", err)
	}
	return inject.HasImageVolumes(kube.GitVersion)
}

// connect prepares to read from the cluster.
func (f *explainFlags) connect(e *explain.Explainer) error {
	restConfig, err := f.config()
	if err != nil {
		return fmt.Errorf("%w (--policy, --engine or --cluster explain without one)", err)
	}
	restConfig.QPS, restConfig.WarningHandler = -1, rest.NoWarnings{}
	if e.Reader, err = client.New(restConfig, client.Options{Scheme: cluster.Scheme}); err != nil {
		return err
	}
	e.Cluster.ImageVolumes, err = imageVolumesOf(restConfig)
	return err
}
