// Command argo runs the controller of Argo Workflows from its own module:
//
//	go run . --kubeconfig FILE --namespace argo
//
// The namespace must have the ConfigMap workflow-controller-configmap, and the cluster Argo's custom resources.
//
// It is what the module's cmd/workflow-controller does, without leader election and without that program's servers for probes, metrics
// and profiles, which listen on every address of the machine, at fixed ports.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned"
	"github.com/argoproj/argo-workflows/v3/workflow/common"
	"github.com/argoproj/argo-workflows/v3/workflow/controller"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file of a cluster administrator (required)")
	namespace := flag.String("namespace", "argo", "namespace with the controller's ConfigMap")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, "argo:", err)
		os.Exit(1)
	}
}

// run runs the controller, for Workflows in any namespace, until the context ends.
func run(ctx context.Context, kubeconfig, namespace string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 20, 30 // as cmd/workflow-controller has them
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	workflows, err := versioned.NewForConfig(config)
	if err != nil {
		return err
	}
	c, err := controller.NewWorkflowController(ctx, config, kube, workflows, namespace, "", "argo.example/argoexec", "", "text",
		common.ConfigMapName, false)
	if err != nil {
		return err
	}
	c.Run(ctx, 4, 1, 1, 1, 1)
	return nil
}
