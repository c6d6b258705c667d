//go:build !js

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks the command to stop; a second one kills it.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// addForClusters adds the commands that need a cluster, and the rest of what a program in a browser has no use for.
func addForClusters(root *cobra.Command, s streams) {
	root.AddCommand(newWebhookCommand(s), newPolicyCommand(s), newEngineCommand(s), newWaitCommand(s), newCheckCommand(s),
		newDiffCommand(s), newMigrateCommand(s), newTestCommand(s), newLaunchCommand(s))
	complete(root)
	if isPlugin(os.Args[0]) {
		asPlugin(root)
	}
}
