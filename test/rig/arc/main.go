// Command arc runs controllers of the actions-runner-controller from its own module: the one that makes the pods of a runner
// scale set (EphemeralRunner), and the older one (Runner). GitHub's part is played by the stand-ins of ARC's own tests.
//
//	go run . --kubeconfig FILE --crds DIR
//
// It prints a line for each reconciliation and for each pod that it tries to create, which is what tests read:
//
//	reconcile EphemeralRunner NAMESPACE
//	create NAMESPACE CODE MILLISECONDS MESSAGE
//
// What is left out: the controllers that make runners from sets, the listener, leader election, and ARC's own webhooks.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	scaleset "github.com/actions/actions-runner-controller/apis/actions.github.com/v1alpha1"
	legacy "github.com/actions/actions-runner-controller/apis/actions.summerwind.net/v1alpha1"
	scalesetcontrollers "github.com/actions/actions-runner-controller/controllers/actions.github.com"
	legacycontrollers "github.com/actions/actions-runner-controller/controllers/actions.summerwind.net"
	"github.com/actions/actions-runner-controller/github"
	"github.com/actions/actions-runner-controller/github/actions/fake"
	githubfake "github.com/actions/actions-runner-controller/github/fake"
	"github.com/actions/actions-runner-controller/logging"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// syncPeriod is the default of ARC's own flag.
const syncPeriod = time.Minute

func main() {
	// Not the default set, on which controller-runtime has a flag of the same name.
	flags := flag.NewFlagSet("arc", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig file of a cluster administrator (required)")
	crds := flags.String("crds", "", "folder of ARC's custom resource definitions, config/crd/bases in its module (required)")
	_ = flags.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *crds); err != nil {
		fmt.Fprintln(os.Stderr, "arc:", err)
		os.Exit(1)
	}
}

// run installs the custom resources and runs the controllers until the context ends.
func run(ctx context.Context, kubeconfig, crds string) error {
	log, err := logging.NewLogger(logging.LogLevelDebug, logging.LogFormatText)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	if err := installCRDs(config, crds); err != nil {
		return fmt.Errorf("installing the custom resource definitions of %q: %w", crds, err)
	}
	manager, err := newManager(config)
	if err != nil {
		return err
	}
	runners := &scalesetcontrollers.EphemeralRunnerReconciler{
		Client: observed{manager.GetClient()}, Log: log.WithName("EphemeralRunner"), Scheme: manager.GetScheme(),
		ActionsClient: fake.NewMultiClient(),
	}
	if err := runners.SetupWithManager(manager); err != nil {
		return err
	}
	// It panics without an answer for a list that these controllers never ask for.
	server := githubfake.NewServer(githubfake.WithListRunnersResponse(http.StatusNotFound, ""))
	defer server.Close()
	api, err := newGitHubClient(server)
	if err != nil {
		return err
	}
	older := &legacycontrollers.RunnerReconciler{
		Client: observed{manager.GetClient()}, Log: log.WithName("runner"), Scheme: manager.GetScheme(),
		GitHubClient:      legacycontrollers.NewMultiGitHubClient(manager.GetClient(), api),
		RunnerPodDefaults: legacycontrollers.RunnerPodDefaults{RunnerImage: "runner", DockerImage: "docker"},
	}
	if err := older.SetupWithManager(manager); err != nil {
		return err
	}
	report("ready")
	return manager.Start(ctx)
}

// newManager returns a manager with the options of ARC's own program.
func newManager(config *rest.Config) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, scaleset.AddToScheme, legacy.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	period := syncPeriod
	return ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, SyncPeriod: &period, MetricsBindAddress: "0",
		ClientDisableCacheFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}},
	})
}

// newGitHubClient returns a client of GitHub's API that asks the stand-in.
func newGitHubClient(server *httptest.Server) (*github.Client, error) {
	config := github.Config{Token: "token"}
	api, err := config.NewClient()
	if err != nil {
		return nil, err
	}
	api.BaseURL, err = url.Parse(server.URL + "/")
	return api, err
}

// installCRDs applies the definitions of the runners that these controllers know and waits until they are served.
func installCRDs(config *rest.Config, folder string) error {
	_, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{ErrorIfPathMissing: true, Paths: []string{
		filepath.Join(folder, "actions.github.com_ephemeralrunners.yaml"),
		filepath.Join(folder, "actions.summerwind.dev_runners.yaml"),
	}})
	return err
}
