package main

import "github.com/spf13/cobra"

func newCheckCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that a cluster is set up for injection",
		Long:  `Check that a cluster is set up for injection.`,
		Example: `  # Does the API server reach the webhook?
  dagger-inject check api`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheckAPICommand(s))
	return cmd
}
