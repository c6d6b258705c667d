//go:build !unix && !js

package main

import "github.com/spf13/cobra"

// newLaunchCommand returns a command that does nothing: injected containers run Linux.
func newLaunchCommand(streams) *cobra.Command { return &cobra.Command{Use: "launch", Hidden: true} }
