package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

type lintFlags struct {
	clusterPolicy    string
	releaseNamespace string
	output           string
}

// finding is one thing that lint found, as -o json prints it.
type finding struct {
	File    string `json:"file"`
	Source  string `json:"source,omitempty"`
	Line    int    `json:"line,omitempty"`
	Field   string `json:"field,omitempty"`
	Problem string `json:"problem"`
}

func newLintCommand(s streams) *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check policies offline, as the cluster would",
		Long: `Check policies offline, with the same errors as from the webhook: at kubectl apply, and in the refusal of a pod.

FILE is a policy, or a manifest with ConfigMaps named ` + config.ConfigMapName + `. A ConfigMap in the release namespace, and a plain
policy without --cluster-policy, is checked as the cluster's; any other is layered on the cluster's policy, which is the one that
--cluster-policy names, else the first one among the files, else the built-in one.

The exit code is 0 when all is well, 1 when there are errors, and 2 when a file cannot be read or holds no policy.`,
		Example: `  dagger-inject lint policy.yaml
  dagger-inject lint --cluster-policy cluster.yaml team-a/policy.yaml team-b/policy.yaml -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return badInputf("missing FILE: the policies to check (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, files []string) error { return runLint(s, &f, files) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.clusterPolicy, "cluster-policy", "", "file with the cluster's policy, on which the others are layered")
	flags.StringVar(&f.releaseNamespace, "release-namespace", "dagger-inject", "namespace whose ConfigMap is the cluster's policy")
	flags.StringVarP(&f.output, "output", "o", "", "output format: json; a line an error without it")
	return cmd
}

// linted is the documents of one policy, and the file they are from.
type linted struct {
	file      string
	documents *config.Documents
}

func runLint(s streams, f *lintFlags, files []string) error {
	if f.output != "" && f.output != "json" {
		return badInputf("-o %q is not accepted: accepted is json", f.output)
	}
	var all []linted
	cluster, found := config.BuiltIn(), false
	if f.clusterPolicy != "" {
		var err error
		if cluster, err = loadDocuments(f.clusterPolicy, config.OriginCluster); err != nil {
			return err
		}
		all = append(all, linted{f.clusterPolicy, cluster})
	}
	for _, file := range files {
		policies, err := f.read(file)
		if err != nil {
			return err
		}
		for _, d := range policies {
			if d.Origin == config.OriginCluster && f.clusterPolicy == "" && !found {
				cluster, found = d, true
			}
			all = append(all, linted{file, d})
		}
	}
	findings := []finding{}
	for _, l := range all {
		policies := inject.NewPolicies(cluster, l.documents, nil)
		if l.documents.Origin == config.OriginCluster {
			policies = inject.NewPolicies(l.documents, nil, nil)
		}
		for _, problem := range policies.Problems() {
			findings = append(findings, finding{l.file, strings.TrimPrefix(problem.Source, l.file), problem.Line, problem.Path, problem.Problem})
		}
	}
	return f.print(s, findings, len(all))
}

// read returns the policies in a file.
func (f *lintFlags) read(file string) ([]*config.Documents, error) {
	found, err := policyMaps(file, func(cm *corev1.ConfigMap) config.Origin {
		if cm.Namespace == f.releaseNamespace {
			return config.OriginCluster
		}
		return config.OriginNamespace
	})
	if err != nil || len(found) > 0 {
		return found, err
	}
	origin := config.OriginCluster
	if f.clusterPolicy != "" {
		origin = config.OriginNamespace
	}
	plain, err := plainPolicy(file, origin)
	return []*config.Documents{plain}, err
}

func (f *lintFlags) print(s streams, findings []finding, policies int) error {
	if f.output == "json" {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(findings); err != nil {
			return err
		}
	} else {
		for _, one := range findings {
			_ = terminal.Line(s.out, "%s: %s", one.File,
				config.FieldError{Source: one.Source, Line: one.Line, Path: one.Field, Problem: one.Problem}.Error())
		}
	}
	if len(findings) > 0 {
		return fmt.Errorf("%s in %s", count(len(findings), "error", "errors"), count(policies, "policy", "policies"))
	}
	_, err := fmt.Fprintf(s.err, "%s, no errors\n", count(policies, "policy", "policies"))
	return err
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
