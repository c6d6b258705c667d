//go:build !js

package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// completeTimeout bounds what a shell waits for when a user presses the tabulator.
const completeTimeout = 3 * time.Second

// complete has shells complete what is in the cluster: namespaces, pods and profiles. Where the cluster cannot be read, nothing is
// offered.
func complete(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		flags := cmd.Flags()
		if flags.Lookup("context") != nil {
			for _, name := range []string{"namespace", "release-namespace"} {
				if flags.Lookup(name) != nil {
					_ = cmd.RegisterFlagCompletionFunc(name, completions(namespaces))
				}
			}
		}
		if flags.Lookup("profile") != nil {
			_ = cmd.RegisterFlagCompletionFunc("profile", completions(profiles))
		}
		switch cmd.CommandPath() {
		case root.Name() + " explain":
			cmd.ValidArgsFunction = completeExplain
		case root.Name() + " policy show":
			cmd.ValidArgsFunction = completions(func(ctx context.Context, c client.Client, cmd *cobra.Command, args []string) []string {
				if len(args) > 0 {
					return nil
				}
				return namespaces(ctx, c, cmd, args)
			})
		}
		complete(cmd)
	}
}

func completeExplain(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return []string{"pod", "namespace"}, cobra.ShellCompDirectiveNoFileComp
	case len(args) == 1 && args[0] == "namespace":
		return completions(namespaces)(cmd, args, word)
	case len(args) == 1 && args[0] == "pod":
		return completions(pods)(cmd, args, word)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completions returns a function that offers the names that another reads from the cluster.
func completions(read func(context.Context, client.Client, *cobra.Command, []string) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		access := accessOf(cmd)
		c, err := access.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), completeTimeout)
		defer cancel()
		names := read(ctx, c, cmd, args)
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func accessOf(cmd *cobra.Command) *clusterAccess {
	return &clusterAccess{kubeconfig: valueOf(cmd, "kubeconfig"), context: valueOf(cmd, "context")}
}

func valueOf(cmd *cobra.Command, flag string) string {
	if f := cmd.Flags().Lookup(flag); f != nil {
		return f.Value.String()
	}
	return ""
}

func namespaces(ctx context.Context, c client.Client, _ *cobra.Command, _ []string) []string {
	return namesOf(ctx, c, &corev1.NamespaceList{})
}

func pods(ctx context.Context, c client.Client, cmd *cobra.Command, _ []string) []string {
	namespace := valueOf(cmd, "namespace")
	if namespace == "" {
		namespace = accessOf(cmd).contextNamespace()
	}
	return namesOf(ctx, c, &corev1.PodList{}, client.InNamespace(namespace), client.Limit(500))
}

// namesOf returns the names of the objects of a list, none where it cannot be read.
func namesOf(ctx context.Context, c client.Client, list client.ObjectList, options ...client.ListOption) []string {
	if c.List(ctx, list, options...) != nil {
		return nil
	}
	var names []string
	_ = meta.EachListItem(list, func(object runtime.Object) error {
		names = append(names, object.(client.Object).GetName())
		return nil
	})
	return names
}

// profiles returns those of the cluster's policy and of the namespace's, which is the argument.
func profiles(ctx context.Context, c client.Client, cmd *cobra.Command, args []string) []string {
	release := valueOf(cmd, "release-namespace")
	if release == "" {
		release = cluster.ReleaseNamespace(ctx, c)
	}
	names := []string{config.DefaultProfile}
	if documents, err := cluster.PolicyDocuments(ctx, c, release, config.OriginCluster); err == nil {
		names = append(names, documents.Profiles()...)
	}
	if len(args) == 1 {
		if documents, err := cluster.PolicyDocuments(ctx, c, args[0], config.OriginNamespace); err == nil {
			names = append(names, documents.Profiles()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
