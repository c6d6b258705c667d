//go:build linux

// Command node runs a real one-node Kubernetes cluster on this machine, for tests and for playing: etcd, the control plane,
// kube-proxy, kubelet, containerd and runc, of binaries that are built from their Go modules. It takes root.
//
// The cluster lives in namespaces of its own (mounts, processes, network, host name), below one init process. Killing that one
// takes every process, mount, interface and rule with it, whatever state they were in.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	state := "/var/cache/dagger-inject/node"
	if cache, err := os.UserCacheDir(); err == nil {
		state = filepath.Join(cache, "dagger-inject", "node")
	}
	root := &cobra.Command{
		Use:   "node",
		Short: "Run a real one-node Kubernetes cluster on this machine",
		Example: `  node up && export KUBECONFIG=~/.cache/dagger-inject/node/kubeconfig
  node load bin/dagger-inject.oci.tar
  node down`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&state, "state", state, "folder of everything that the cluster keeps")
	root.AddCommand(&cobra.Command{
		Use:     "up",
		Short:   "Start the cluster anew, and print how to use it",
		Example: "  node up",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), state, os.Stderr) },
	}, &cobra.Command{
		Use:     "down",
		Short:   "Remove the cluster and everything it kept, also what a crash left",
		Example: "  node down",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return down(cmd.Context(), state) },
	}, &cobra.Command{
		Use:     "load ARCHIVE...",
		Short:   "Give the node images, from OCI or Docker archives",
		Example: "  node load bin/dagger-inject.oci.tar",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, archives []string) error { return load(cmd.Context(), state, archives) },
	}, &cobra.Command{
		Use:     "ctr -- ARGUMENT...",
		Short:   "Run containerd's own client, ctr, on the node",
		Example: "  node ctr -- events",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return ctr(state, args) },
	}, &cobra.Command{
		Use: initCommand, Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runInit(args[0]) },
	})
	return root
}
