// Command tekton runs the controllers of Tekton Pipelines, for TaskRuns and PipelineRuns, from their own module:
//
//	go run . --kubeconfig FILE --namespace tekton-pipelines
//
// The namespace must have the ConfigMaps of the module's folder config, and the cluster its custom resources.
//
// It is what the module's cmd/controller does, without leader election and without that program's servers for probes, metrics and
// profiles, which listen on every address of the machine, at fixed ports. The images that a release is built with are placeholders here:
// a kubelet could not pull them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun"
	"github.com/tektoncd/pipeline/pkg/reconciler/taskrun"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	filteredinformerfactory "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/injection"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/system"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig file of a cluster administrator (required)")
	namespace := flag.String("namespace", "tekton-pipelines", "namespace with the ConfigMaps of Tekton")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, "tekton:", err)
		os.Exit(1)
	}
}

// run runs the controllers until the context ends.
func run(ctx context.Context, kubeconfig, namespace string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 4*rest.DefaultQPS, 2*rest.DefaultBurst // as cmd/controller has them
	// Tekton's packages take it from the environment alone.
	if err := os.Setenv(system.NamespaceEnvKey, namespace); err != nil {
		return err
	}
	logger, _ := logging.NewLogger("", "info")
	ctx = logging.WithLogger(ctx, logger)
	ctx = filteredinformerfactory.WithSelectors(ctx, v1beta1.ManagedByLabelKey)
	ctx, startInformers := injection.EnableInjectionOrDie(ctx, config)
	watcher := sharedmain.SetupConfigMapWatchOrDie(ctx, logger)

	options := &pipeline.Options{Images: pipeline.Images{
		EntrypointImage:        "tekton.example/entrypoint",
		SidecarLogResultsImage: "tekton.example/sidecarlogresults",
		NopImage:               "tekton.example/nop",
		ShellImage:             "tekton.example/shell",
		ShellImageWin:          "tekton.example/shell-win",
		WorkingDirInitImage:    "tekton.example/workingdirinit",
	}}
	controllers := []*controller.Impl{
		taskrun.NewController(options, clock.RealClock{})(ctx, watcher),
		pipelinerun.NewController(options, clock.RealClock{})(ctx, watcher),
	}
	if err := watcher.Start(ctx.Done()); err != nil {
		return fmt.Errorf("reading Tekton's ConfigMaps: %w", err)
	}
	startInformers()
	return controller.StartAll(ctx, controllers...)
}
