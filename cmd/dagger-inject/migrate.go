//go:build !js

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/migrate"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
	"github.com/dagger-inject/dagger-inject/internal/textdiff"
)

// The exit codes of migrate beside those of every command.
const (
	exitDifferent      = 3
	exitNotExpressible = 4
)

// liveEngines is the value of --engine that stands for the cluster's own.
const liveEngines = "live"

// outputDiff is the value of -o that writes no files.
const outputDiff = "diff"

type migrateFlags struct {
	injectFlags
	files []string
	clusterAccess
	releaseNamespace string
	report           string
	overwrite        bool
}

func newMigrateCommand(s streams) *cobra.Command {
	var f migrateFlags
	cmd := &cobra.Command{
		Use:   "migrate -f FILE...",
		Short: "Replace hand-wiring to a Dagger Engine by the label, and prove what changes",
		Long: `Replace hand-wiring to a Dagger Engine by the label, and prove what changes.

FILE is what pods are made from: ARC's RunnerDeployment, RunnerSet and AutoscalingRunnerSet, values of the charts
gha-runner-scale-set and gitlab-runner, GitLab Runner's config.toml, Tekton's Tasks and Pipelines, Argo's workflows, Buildkite's
pod specs, pods, and workloads with a pod template. migrate takes out what connects them to an engine: the variable
_EXPERIMENTAL_DAGGER_RUNNER_HOST, the mount and the volume of the socket, engines in sidecars, init containers that provide
the dagger command, and the tolerations and node affinity that the engine's own placement gives. It keeps comments, order and
every other line, and adds the label. Scripts are reported, never edited.

Then it proves it: it compares each pod as it was with the stripped pod as the webhook would inject it, and names each
difference and what it means. Where a policy of the namespace is needed to keep the engine, it writes that too.

The diff goes to standard output and what was found to standard error. Nothing is written without -o DIR.

Exit codes:
   0  the pods are equal, but for what they gain
   2  the input is bad, and nothing is written
   3  there are differences
   4  something has to be done by hand, and is named`,
		Example: `  # What would change, with the engine as the Dagger chart installs it
  helm template dagger oci://registry.dagger.io/dagger-helm -n dagger > engine.yaml
  dagger-inject migrate -f runners.yaml --engine engine.yaml

  # With the cluster's engine and policy; write the files
  dagger-inject migrate -f values.yaml -n ci --engine live -o migrated`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMigrate(cmd.Context(), s, &f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil, "file to migrate; - is standard input; may be repeated")
	flags.StringVar(&f.policy, "policy", "", "file with the cluster's policy, or the ConfigMap with it (default: with --engine the chart's "+
		"default, which reads everything off the engine; else the built-in policy, which fits the Dagger chart's default names)")
	flags.StringVar(&f.namespacePolicy, "namespace-policy", "", namespacePolicyHelp)
	flags.StringArrayVar(&f.engines, "engine", nil,
		"manifests to read the engine off, or live for the cluster's engines and, without --policy, its policy; may be repeated")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace of what names none itself (default: default)")
	flags.StringToStringVar(&f.namespaceLabels, "namespace-labels", nil, "labels of the namespace")
	flags.StringToStringVar(&f.namespaceAnnotations, "namespace-annotations", nil, "annotations of the namespace")
	flags.BoolVar(&f.nodeIPv6, "node-ipv6", false, "the nodes' addresses are IPv6")
	flags.StringVar(&f.kubeVersion, "kube-version", defaultKubeVersion, kubeVersionHelp)
	f.addFlags(cmd)
	flags.StringVar(&f.releaseNamespace, "release-namespace", "", releaseNamespaceHelp)
	flags.StringVarP(&f.output, "output", "o", outputDiff, "folder to write the files to, under the same names; diff writes none")
	flags.StringVar(&f.report, "report", "text", "what was found: text on standard error, or json on standard output in place of the diff")
	flags.BoolVar(&f.overwrite, "overwrite", false, "overwrite files that are in the folder")
	return cmd
}

func runMigrate(ctx context.Context, s streams, f *migrateFlags) error {
	switch {
	case len(f.files) == 0:
		return badInputf("missing -f FILE: the file to migrate, - for standard input (see dagger-inject migrate --help)")
	case f.output == "":
		return badInputf("-o is empty: want a folder to write to, or diff")
	}
	if f.report != "text" && f.report != "json" {
		return badInputf("--report %q is not accepted: accepted is text or json", f.report)
	}
	options, err := f.options(ctx)
	if err != nil {
		return err
	}
	var inputs []migrate.Input
	for _, file := range f.files {
		text, err := readWhole(file, s.in)
		if err != nil {
			return err
		}
		inputs = append(inputs, migrate.Input{Name: file, Text: text})
	}
	report, err := migrate.Run(inputs, *options)
	if err != nil {
		return badInput{severalLines(linesOf(err))}
	}
	if f.output != outputDiff {
		if err := f.writeFiles(s, report); err != nil {
			return err
		}
	}
	if err := f.show(s, report); err != nil {
		return err
	}
	switch report.Outcome() {
	case migrate.Different:
		return exitError{errSaid, exitDifferent}
	case migrate.Cannot:
		return exitError{errSaid, exitNotExpressible}
	}
	return nil
}

// linesOf returns the texts of joined errors.
func linesOf(err error) []string {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []string{err.Error()}
	}
	var lines []string
	for _, one := range joined.Unwrap() {
		lines = append(lines, linesOf(one)...)
	}
	return lines
}

// readWhole reads a file, or standard input for "-".
func readWhole(file string, stdin io.Reader) ([]byte, error) {
	source := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, badInput{err}
		}
		defer func() { _ = opened.Close() }()
		source = opened
	}
	text, err := io.ReadAll(io.LimitReader(source, maxInput+1))
	if err != nil {
		return nil, badInputf("reading %s: %w", file, err)
	}
	if len(text) > maxInput {
		return nil, badInputf("%s has more than the %d bytes accepted", file, maxInput)
	}
	return text, nil
}

// options reads what decisions depend on.
func (f *migrateFlags) options(ctx context.Context) (*migrate.Options, error) {
	o := &migrate.Options{Namespace: f.namespace, Labels: f.namespaceLabels, Annotations: f.namespaceAnnotations,
		Cluster: config.BuiltIn(), Facts: inject.Cluster{NodeIPv6: f.nodeIPv6}, Version: version}
	var err error
	if o.Facts.ImageVolumes, err = hasImageVolumes(f.kubeVersion); err != nil {
		return nil, err
	}
	if err := f.readEngines(ctx, o); err != nil {
		return nil, err
	}
	if f.policy != "" {
		if o.Cluster, err = loadDocuments(f.policy, config.OriginCluster); err != nil {
			return nil, err
		}
	}
	if f.namespacePolicy != "" {
		if o.NamespacePolicy, err = loadDocuments(f.namespacePolicy, config.OriginNamespace); err != nil {
			return nil, err
		}
	}
	if err := inject.NewPolicies(o.Cluster, o.NamespacePolicy, nil).Err(); err != nil {
		return nil, badInput{severalLines(policyErrors(err))}
	}
	return o, nil
}

// readEngines reads the engines off manifests or off the cluster.
func (f *migrateFlags) readEngines(ctx context.Context, o *migrate.Options) error {
	if len(f.engines) == 0 {
		return nil
	}
	if len(f.engines) == 1 && f.engines[0] == liveEngines {
		return f.readLive(ctx, o)
	}
	objects, err := readObjects(f.engines, nil)
	if err != nil {
		return err
	}
	o.Engines = func(own string) inject.Engines { return offlineEngines(objects, own) }
	// The chart's own default, which reads everything off the engine. The built-in policy names sockets and images itself.
	document := "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n"
	o.Cluster = config.FromFile("the chart's default policy", []byte(document), config.OriginCluster)
	return nil
}

func (f *migrateFlags) readLive(ctx context.Context, o *migrate.Options) error {
	reader, err := f.client()
	if err != nil {
		return err
	}
	all, err := cluster.Workloads(ctx, reader, "")
	if err != nil {
		return err
	}
	byNamespace := all.ByNamespace()
	o.Engines = func(own string) inject.Engines {
		return func(namespace string, selector labels.Selector) (*engine.Found, error) {
			if namespace == "" {
				namespace = own
			}
			w := byNamespace[namespace]
			if w == nil {
				w = &engine.Workloads{}
			}
			return w.Discover(selector)
		}
	}
	if f.policy != "" {
		return nil
	}
	release := cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, reader))
	documents, err := cluster.PolicyDocuments(ctx, reader, release, config.OriginCluster)
	if err != nil {
		return fmt.Errorf("reading the cluster's policy: %w; --policy names a file instead", err)
	}
	if documents != nil {
		o.Cluster = documents
	}
	return nil
}

// writeFiles writes all files, or none if anything is in the way of one.
func (f *migrateFlags) writeFiles(s streams, report *migrate.Report) error {
	files := map[string][]byte{}
	add := func(name string, text []byte) error {
		target := filepath.Join(f.output, filepath.Base(name))
		if _, twice := files[target]; twice {
			return badInputf("two files are named %s, and would be written to the same place: migrate them one by one", filepath.Base(name))
		}
		if _, err := os.Lstat(target); err == nil && !f.overwrite {
			return badInputf("%s exists: nothing is written; name another folder, or give --overwrite", target)
		}
		files[target] = text
		return nil
	}
	for _, file := range report.Files {
		name := file.Name
		if name == "-" {
			name = "stdin.yaml"
		}
		if err := add(name, file.After); err != nil {
			return err
		}
	}
	for _, p := range report.Policies {
		if err := add(p.FileName(), []byte(p.ConfigMap())); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(f.output, 0o755); err != nil {
		return err
	}
	for target, text := range files {
		if err := os.WriteFile(target, text, 0o644); err != nil {
			return err
		}
		_ = terminal.Line(s.err, "wrote %s", target)
	}
	return nil
}

// show writes the diff and the report.
func (f *migrateFlags) show(s streams, report *migrate.Report) error {
	if f.report == "json" {
		return writeObject(s.out, "json", report)
	}
	if f.output == outputDiff {
		if err := showDiff(s, report); err != nil {
			return err
		}
	}
	for _, line := range report.Text() {
		_ = terminal.Line(s.err, "%s", line)
	}
	return nil
}

func showDiff(s streams, report *migrate.Report) error {
	var all string
	for _, file := range report.Files {
		diff, err := textdiff.Unified(file.Name, string(file.Before), file.Name+" (migrated)", string(file.After))
		if err != nil {
			return err
		}
		all += diff
	}
	for _, p := range report.Policies {
		diff, err := textdiff.Unified("/dev/null", "", p.FileName(), p.ConfigMap())
		if err != nil {
			return err
		}
		all += diff
	}
	all = terminal.EscapeLines(all)
	if s.outIsTerminal() {
		all = textdiff.Colour(all)
	}
	_, err := io.WriteString(s.out, all)
	return err
}
