//go:build !js

package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// isPlugin reports whether the program was started as a plugin of kubectl: kubectl dagger starts kubectl-dagger.
func isPlugin(program string) bool {
	return strings.TrimSuffix(filepath.Base(program), ".exe") == "kubectl-dagger"
}

// asPlugin has the help speak of kubectl dagger, which is what the user typed.
func asPlugin(root *cobra.Command) {
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl dagger"}
	rename(root)
}

func rename(cmd *cobra.Command) {
	cmd.Example = strings.ReplaceAll(cmd.Example, "dagger-inject ", "kubectl dagger ")
	for _, sub := range cmd.Commands() {
		rename(sub)
	}
}
