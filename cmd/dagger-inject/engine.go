package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/engines"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

type engineFlags struct {
	files            []string
	namespace        string
	allNamespaces    bool
	selector         string
	kubeconfig       string
	releaseNamespace string
	output           string
	watch            bool
}

func newEngineCommand(s streams) *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "engine [NAME]",
		Short: "Show the Dagger Engines that pods can be given, and who uses them",
		Long: `Show the Dagger Engines of a namespace, as they are read off the workloads that run them: which is ready, by which transports it
can be reached, which of them new pods are given, and how many pods were given each and are not over, by their status annotation.
With the NAME of a workload, show all that is read of that engine: socket, ports, group, image, Service and placement.

The workloads (DaemonSets, StatefulSets and Deployments) and Services are read from the cluster's namespace, or, with -f, from
manifests. What is not offered, and why, goes to standard error. The exit code is 1 when there is no engine.`,
		Example: `  dagger-inject engine -n dagger --watch
  dagger-inject engine -n dagger dagger-dagger-helm-engine
  helm template dagger oci://registry.dagger.io/dagger-helm -n dagger | dagger-inject engine -f - -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return badInputf("%s takes one NAME, got %d", cmd.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runEngine(cmd.Context(), s, &f, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil, "manifests to read instead of the cluster; - is standard input; may be repeated")
	flags.StringVarP(&f.namespace, "namespace", "n", "dagger", "namespace of the engines")
	flags.BoolVarP(&f.allNamespaces, "all-namespaces", "A", false, "show the engines of all namespaces")
	flags.StringVarP(&f.selector, "selector", "l", "", "label selector that narrows the workloads")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", kubeconfigHelp)
	flags.StringVar(&f.releaseNamespace, "release-namespace", "", releaseNamespaceHelp)
	flags.StringVarP(&f.output, "output", "o", "", "output format: json or yaml; text without it")
	flags.BoolVarP(&f.watch, "watch", "w", false, "show the engines again whenever something has changed, until it is interrupted")
	return cmd
}

func runEngine(ctx context.Context, s streams, f *engineFlags, name string) error {
	switch {
	case f.output != "" && f.output != "json" && f.output != "yaml":
		return badInputf("-o %q is not accepted: accepted is json or yaml", f.output)
	case f.watch && len(f.files) > 0:
		return badInputf("--watch goes with a cluster: -f reads manifests, which do not change")
	case f.watch && name != "":
		return badInputf("--watch goes without a NAME")
	}
	selector, err := labels.Parse(f.selector)
	if err != nil {
		return badInputf("--selector: %w", err)
	}
	if f.watch {
		return f.watchEngines(ctx, s, selector)
	}
	looked, err := f.look(ctx, s.in, selector)
	if err != nil {
		return err
	}
	looked.writeNotes(s.err, name)
	if name == "" {
		return f.write(s.out, looked.report)
	}
	return f.writeOne(s.out, looked, name)
}

// enginesSeen is what was read of engines at one moment.
type enginesSeen struct {
	all    []*engine.Discovered
	report *engines.Report
}

// look reads engines and what is known of their use.
func (f *engineFlags) look(ctx context.Context, stdin io.Reader, selector labels.Selector) (*enginesSeen, error) {
	namespaces, documents, used, unknown, err := f.read(ctx, stdin)
	if err != nil {
		return nil, err
	}
	seen := &enginesSeen{report: &engines.Report{Engines: []engines.Engine{}, PodsUnknown: unknown}}
	for _, name := range slices.Sorted(maps.Keys(namespaces)) {
		found, err := namespaces[name].Discover(selector)
		if err != nil {
			if f.allNamespaces {
				continue // most namespaces have none
			}
			where := "namespace " + name
			if f.selector != "" {
				where += ", labels " + f.selector
			}
			return nil, fmt.Errorf("%s: %w; an engine elsewhere is found with --namespace and --selector", where, err)
		}
		report, err := engines.Of(found, documents, used)
		if err != nil {
			return nil, err
		}
		seen.all = append(seen.all, found.Engines...)
		seen.report.Add(report)
	}
	if len(seen.all) == 0 {
		return nil, fmt.Errorf("no namespace has a workload with a container dagger-engine or an image of the Dagger Engine")
	}
	return seen, nil
}

// read returns the workloads by namespace, the cluster's policy, nil where it is not known, and what pods use, or why that is not
// known.
func (f *engineFlags) read(ctx context.Context, stdin io.Reader) (_ map[string]*engine.Workloads, _ *config.Documents, _ engines.Usage,
	unknown string, _ error) {
	if len(f.files) > 0 {
		objects, err := readObjects(f.files, stdin)
		if err != nil {
			return nil, nil, nil, "", err
		}
		names := []string{f.namespace}
		if f.allNamespaces {
			names = namespacesOf(objects, f.namespace)
		}
		namespaces := map[string]*engine.Workloads{}
		for _, name := range names {
			if namespaces[name], err = workloadsIn(objects, name, f.namespace); err != nil {
				return nil, nil, nil, "", err
			}
		}
		used, err := usedIn(ctx, objects)
		return namespaces, nil, used, "", err
	}
	reader, err := clusterClient(f.kubeconfig)
	if err != nil {
		return nil, nil, nil, "", err
	}
	namespace := f.namespace
	if f.allNamespaces {
		namespace = ""
	}
	all, err := cluster.Workloads(ctx, reader, namespace)
	if err != nil {
		return nil, nil, nil, "", err
	}
	namespaces := map[string]*engine.Workloads{f.namespace: all}
	if f.allNamespaces {
		namespaces = all.ByNamespace()
	}
	release := f.releaseNamespace
	if release == "" {
		release = cluster.ReleaseNamespace(ctx, reader)
	}
	// Whoever may not read the policy sees what holds without one.
	documents, _ := cluster.PolicyDocuments(ctx, reader, release, config.OriginCluster)
	used, err := engines.Used(ctx, reader)
	if err != nil {
		return namespaces, documents, nil, err.Error(), nil
	}
	return namespaces, documents, used, "", nil
}

// watchInterval is how often the cluster is asked while it is watched.
const watchInterval = 3 * time.Second

// watchEngines writes the engines whenever what is written would differ.
func (f *engineFlags) watchEngines(ctx context.Context, s streams, selector labels.Selector) error {
	ticks := time.NewTicker(watchInterval)
	defer ticks.Stop()
	for last := ""; ; {
		var b strings.Builder
		looked, err := f.look(ctx, s.in, selector)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			_ = terminal.Line(&b, "%v", err) // it may be there the next time
		default:
			if err := f.write(&b, looked.report); err != nil {
				return err
			}
		}
		if text := b.String(); text != last {
			if last != "" && f.output != "json" {
				text = map[string]string{"": "\n", "yaml": "---\n"}[f.output] + text
			}
			if _, err := io.WriteString(s.out, text); err != nil {
				return err
			}
			last = b.String()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func (f *engineFlags) write(out io.Writer, r *engines.Report) error {
	if f.output != "" {
		return writeObject(out, f.output, r)
	}
	return r.Text(out)
}

// writeNotes says what engines do not offer.
func (seen *enginesSeen) writeNotes(out io.Writer, name string) {
	for _, d := range seen.all {
		for _, note := range d.Notes {
			if name == "" || name == d.Workload.Name {
				_ = terminal.Line(out, "%s: %s", d.Workload, note)
			}
		}
	}
}

// writeOne shows the engines of one name; there may be several of different kinds.
func (f *engineFlags) writeOne(out io.Writer, seen *enginesSeen, name string) error {
	var names []string
	shown := false
	for _, d := range seen.all {
		names = append(names, d.Workload.String())
		if d.Workload.Name != name {
			continue
		}
		shown = true
		var err error
		if f.output != "" {
			err = writeObject(out, f.output, d)
		} else {
			err = printEngine(out, d)
		}
		if err != nil {
			return err
		}
	}
	if !shown {
		return fmt.Errorf("%s is no engine: there is %s", name, strings.Join(names, ", "))
	}
	return nil
}

func printEngine(out io.Writer, d *engine.Discovered) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		_ = terminal.Line(&b, "%-14s"+format, append([]any{name}, args...)...)
	}
	line("engine", "%s", d.Workload)
	line("image", "%s", d.Image)
	if d.Version != "" {
		line("version", "%s", d.Version)
	}
	if d.Draining {
		line("draining", "only for pods that ask for it by name or whole version")
	}
	if d.Rollout != nil {
		line("ready", "%d of %d", d.Rollout.Ready, d.Rollout.Wanted)
	}
	if len(d.ImagePullSecrets) > 0 {
		line("pulled with", "%s", strings.Join(d.ImagePullSecrets, ", "))
	}
	if d.Socket != nil {
		line("socket", "%s/%s", d.Socket.HostPath, d.Socket.File)
	}
	if d.Group != nil {
		line("group", "%d", *d.Group)
	}
	if d.TCP != nil {
		line("port", "%d", d.TCP.Port)
	}
	if d.NodeTCP != nil {
		line("node's port", "%d", d.NodeTCP.Port)
	}
	if d.Service != nil {
		safe := "safe"
		if !d.Service.Safe {
			safe = "not safe"
		}
		line("Service", "%s, %s: %s", d.Service.Address, safe, d.Service.Reason)
	}
	if r := d.Replicas; r != nil {
		line("replicas", "%s to %s", r.Address(0), r.Address(r.Offered-1))
	}
	for _, t := range d.Tolerations {
		line("toleration", "%s", strings.TrimSpace(fmt.Sprintf("%s %s %s %s", t.Key, t.Operator, t.Value, t.Effect)))
	}
	for _, key := range slices.Sorted(maps.Keys(d.NodeSelector)) {
		line("nodeSelector", "%s=%s", key, d.NodeSelector[key])
	}
	if d.NodeAffinity != nil {
		line("nodeAffinity", "see -o yaml")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
