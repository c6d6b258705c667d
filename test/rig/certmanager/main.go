// Command certmanager runs cert-manager in one process, from its own module: the eleven controllers that issue
// certificates from CA and self-signed issuers, and cainjector, which writes CAs into webhook configurations.
//
//	go run . run --kubeconfig FILE --crds DIR
//	go run . renew --kubeconfig FILE --namespace NAMESPACE CERTIFICATE
//
// What is left out: ACME and the issuers of other products, leader election, and the validating webhook, without which a
// Certificate that names nothing is accepted and never issued.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/cert-manager/cert-manager/pkg/controller"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func main() {
	ctrl.SetLogger(klog.Background())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "certmanager", Short: "cert-manager from its module, for tests", SilenceUsage: true}
	kubeconfig := root.PersistentFlags().String("kubeconfig", "", "kubeconfig file of a cluster administrator (required)")
	_ = root.MarkPersistentFlagRequired("kubeconfig")
	root.AddCommand(newRunCommand(kubeconfig), newRenewCommand(kubeconfig))
	if err := root.ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

func newRunCommand(kubeconfig *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Install cert-manager's custom resources and run its controllers until interrupted",
		Long:  `Install cert-manager's custom resources, print "ready", and run its controllers and cainjector until interrupted.`,
		Example: `  certmanager run --kubeconfig admin.kubeconfig \
    --crds "$(go list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)/deploy/crds"`,
		Args: cobra.NoArgs,
	}
	crds := cmd.Flags().String("crds", "", "folder of cert-manager's custom resource definitions, deploy/crds in its module (required)")
	_ = cmd.MarkFlagRequired("crds")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), *kubeconfig, *crds) }
	return cmd
}

// run installs the custom resources and runs everything until the context ends or a part of it fails.
func run(ctx context.Context, kubeconfig, crds string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	if err := installCRDs(config, crds); err != nil {
		return fmt.Errorf("installing the custom resource definitions of %s: %w", crds, err)
	}
	group, ctx := errgroup.WithContext(logf.NewContext(ctx, klog.Background()))
	factory, err := controller.NewContextFactory(ctx, options(kubeconfig))
	if err != nil {
		return err
	}
	if err := startControllers(ctx, group, factory); err != nil {
		return err
	}
	injector, err := newInjector(ctx, config)
	if err != nil {
		return fmt.Errorf("cainjector: %w", err)
	}
	group.Go(func() error { return injector.Start(ctx) })
	fmt.Println("ready")
	return group.Wait()
}

// installCRDs applies the four definitions that CA and self-signed issuers need and waits until they are served.
func installCRDs(config *rest.Config, folder string) error {
	paths, err := filepath.Glob(filepath.Join(folder, "cert-manager.io_*.yaml"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("it has no file cert-manager.io_*.yaml")
	}
	_, err = envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: paths, ErrorIfPathMissing: true})
	return err
}
