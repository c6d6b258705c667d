//go:build !js

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

type policyShowFlags struct {
	policy, namespacePolicy string
	profile, pod            string
	clusterAccess
	releaseNamespace string
	output           string
}

func newPolicyCommand(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		Short:   "Look at policies",
		Example: "  dagger-inject policy show ci",
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyShowCommand(s))
	return cmd
}

func newPolicyShowCommand(s streams) *cobra.Command {
	var f policyShowFlags
	cmd := &cobra.Command{
		Use:   "show [NAMESPACE]",
		Short: "Show the policy that holds in a namespace, and who set each field",
		Long: `Show the policy that holds in a namespace, with each field's origin: default, cluster, namespace or pod.

The policies are read from the cluster, or, with --policy, from files.`,
		Example: `  dagger-inject policy show ci
  dagger-inject policy show ci --profile large
  dagger-inject policy show ci --pod pod.yaml -o json
  dagger-inject policy show --policy cluster.yaml --namespace-policy team.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return badInputf("%s takes one namespace, got %d", cmd.CommandPath(), len(args))
			case len(args) == 0 && f.policy == "":
				return badInputf("missing NAMESPACE (or --policy, to read files instead of the cluster; see %s --help)", cmd.CommandPath())
			case f.namespacePolicy != "" && f.policy == "":
				return badInputf("--namespace-policy goes with --policy: without it, policies are read from the cluster")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPolicyShow(cmd.Context(), s, &f, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.policy, "policy", "", "file with the cluster's policy, or the ConfigMap with it")
	flags.StringVar(&f.namespacePolicy, "namespace-policy", "", namespacePolicyHelp)
	flags.StringVar(&f.profile, "profile", config.DefaultProfile, "profile to show")
	flags.StringVar(&f.pod, "pod", "", "file with a pod, whose annotations are the last layer")
	f.addFlags(cmd)
	flags.StringVar(&f.releaseNamespace, "release-namespace", "", releaseNamespaceHelp)
	flags.StringVarP(&f.output, "output", "o", "yaml", "output format: yaml or json")
	return cmd
}

func runPolicyShow(ctx context.Context, s streams, f *policyShowFlags, namespace string) error {
	if f.output != "yaml" && f.output != "json" {
		return badInputf("-o %q is not accepted: accepted is yaml or json", f.output)
	}
	pod, err := f.readPod()
	if err != nil {
		return err
	}
	policies, err := f.load(ctx, namespace)
	if err != nil {
		return err
	}
	effective, err := policies.Effective(f.profile, pod)
	if err != nil {
		return severalLines(policyErrors(err))
	}
	if f.output == "json" {
		return effectiveJSON(s, effective)
	}
	return effectiveYAML(s, effective)
}

func (f *policyShowFlags) readPod() (rawjson.Value, error) {
	if f.pod == "" {
		return rawjson.Value{}, nil
	}
	documents, err := readDocuments(f.pod, nil)
	if err != nil {
		return rawjson.Value{}, err
	}
	var index rawjson.Document
	root, err := index.Parse(string(documents[0].json))
	if err != nil {
		return root, badInputf("%s: %w", documents[0].name, err)
	}
	kind, _ := root.Get("kind").Str()
	template, found := inject.FindTemplate(root, kind)
	if !found {
		return root, badInputf("%s: no pod and no pod template", documents[0].name)
	}
	return template.Pod, nil
}

func (f *policyShowFlags) load(ctx context.Context, namespace string) (*inject.Policies, error) {
	if f.policy != "" {
		return loadPolicies(f.policy, f.namespacePolicy, nil)
	}
	reader, err := f.client()
	if err != nil {
		return nil, err
	}
	release := cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, reader))
	documents, err := cluster.PolicyDocuments(ctx, reader, release, config.OriginCluster)
	if err != nil {
		return nil, err
	}
	if namespace == release {
		return inject.NewPolicies(documents, nil, nil), nil
	}
	own, err := cluster.PolicyDocuments(ctx, reader, namespace, config.OriginNamespace)
	if err != nil {
		return nil, err
	}
	return inject.NewPolicies(documents, own, nil), nil
}

// effectiveTree returns the policy as a tree without empty members, and calls visit for each field that has a value.
func effectiveTree(e *inject.Effective, visit func(path string, field *yamlv3.Node)) (*yamlv3.Node, error) {
	text, err := json.Marshal(e.Policy)
	if err != nil {
		return nil, err
	}
	var index rawjson.Document
	value, err := index.Parse(string(text))
	if err != nil {
		return nil, err
	}
	root := nodeOf(value)
	prune(root)
	annotate(root, "", visit)
	return root, nil
}

// prune drops empty members, and reports whether anything is left.
func prune(node *yamlv3.Node) bool {
	if node.Kind != yamlv3.MappingNode {
		return node.Kind != yamlv3.ScalarNode && len(node.Content) > 0 || node.Kind == yamlv3.ScalarNode && node.Tag != "!!null"
	}
	var kept []*yamlv3.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		if prune(node.Content[i+1]) {
			kept = append(kept, node.Content[i], node.Content[i+1])
		}
	}
	node.Content = kept
	return len(kept) > 0
}

// annotate visits the members of mappings that are policy fields: scalars, lists, and mappings without mappings in them.
func annotate(node *yamlv3.Node, path string, visit func(string, *yamlv3.Node)) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		if value.Kind == yamlv3.MappingNode {
			annotate(value, at, visit)
			continue
		}
		if value.Kind == yamlv3.SequenceNode {
			visit(at, key)
			continue
		}
		visit(at, value)
	}
}

// setToNothing returns the fields that a layer, or an annotation, set to an empty value or to false, sorted.
func setToNothing(e *inject.Effective, shown func(path string) bool) []string {
	paths := e.SetToNothing(shown)
	for path := range e.Annotations {
		if !shown(path) && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func effectiveYAML(s streams, e *inject.Effective) error {
	shown := map[string]bool{}
	root, err := effectiveTree(e, func(path string, field *yamlv3.Node) {
		shown[path] = true
		field.LineComment = terminal.Escape(e.OriginOf(path).String())
	})
	if err != nil {
		return err
	}
	text, err := encodeYAML(root)
	if err != nil {
		return err
	}
	// A field that is set to an empty value matters too: it may turn a guardrail off.
	empty := ""
	for _, path := range setToNothing(e, func(path string) bool { return shown[path] }) {
		empty += "# " + terminal.Escape(fmt.Sprintf("%s is set to nothing: %s", path, e.OriginOf(path))) + "\n"
	}
	_, err = fmt.Fprintf(s.out, "# profile %s\n%s%s", terminal.Escape(e.Profile), text, empty)
	return err
}

func effectiveJSON(s streams, e *inject.Effective) error {
	origins := map[string]inject.FieldOrigin{}
	if _, err := effectiveTree(e, func(path string, _ *yamlv3.Node) { origins[path] = e.OriginOf(path) }); err != nil {
		return err
	}
	for _, path := range setToNothing(e, func(path string) bool { _, shown := origins[path]; return shown }) {
		origins[path] = e.OriginOf(path)
	}
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{"profile": e.Profile, "policy": e.Policy, "origins": origins})
}
