// Package e2e runs injected pods on real nodes, against the stand-in for an engine or a real one.
//
// `make e2e` runs it: as root it makes a node of its own (test/rig/node), installs the webhook there by its chart, with
// cert-manager, and gives the node images from this tree. With KUBECONFIG set it uses that cluster as it is, with the webhook and
// an engine that are installed there, and skips what needs images of our own or disturbs nodes and engines.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The variables by which `make e2e` says what to run against.
const (
	envRun   = "E2E"              // any value: run at all
	envNode  = "E2E_NODE"         // state folder of a node of our own; empty: the cluster of KUBECONFIG, as it is
	envImage = "E2E_RUNNER_IMAGE" // image with a shell, for jobs in another cluster
)

// cluster is what all tests use.
var cluster struct {
	client.Client
	logs kubernetes.Interface
	// node is the state folder of a node of our own, empty in another cluster.
	node string
	// runner is the image of jobs.
	runner string
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.New(log.NullLogSink{}))
	if os.Getenv(envRun) == "" {
		fmt.Println("e2e: skipped; make e2e runs it")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := connect(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if cluster.node != "" {
		began := time.Now()
		uninstall, err := install(ctx)
		defer uninstall()
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		fmt.Fprintf(os.Stderr, "installed after %s\n", time.Since(began).Round(time.Second))
	}
	return m.Run()
}

func connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return fmt.Errorf("reading KUBECONFIG: %w", err)
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	cluster.node, cluster.runner = os.Getenv(envNode), os.Getenv(envImage)
	if cluster.runner == "" {
		cluster.runner = "docker.io/library/busybox:1.37"
		if cluster.node != "" {
			cluster.runner = "dagger-inject.test/runner:1"
		}
	}
	if cluster.logs, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	cluster.Client, err = client.New(config, client.Options{Scheme: scheme.Scheme})
	return err
}

// needsOurNode skips a test that the cluster of somebody else is not for.
func needsOurNode(t *testing.T, why string) {
	t.Helper()
	if cluster.node == "" {
		t.Skip("skipped in a cluster of somebody else: " + why)
	}
}
