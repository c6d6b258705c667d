//go:build !js

package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/internal/engines"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

type engineFlags struct {
	files         []string
	namespace     string
	allNamespaces bool
	selector      string
	clusterAccess
	releaseNamespace string
	output           string
	watch            bool
	project          string
}

func newEngineCommand(s streams) *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "engine [NAME]",
		Short: "Show the Dagger Engines that pods can use, and which are in use",
		Long: `Show the Dagger Engines of a namespace, read off the workloads that run them: which are ready, by which transports pods can reach
them, which of them new pods get, and how many running pods use each, by their status annotation.
With the NAME of a workload, show everything known about that engine: socket, ports, group, image, Service and placement.
With --project, show the nodes, or the engines with addresses of their own, in the order in which scheduling.cacheAffinity prefers
them for the jobs of a project: those of the namespace NAMESPACE with the KEY that their dagger.io/status and "explain" show.

The workloads (DaemonSets, StatefulSets and Deployments) and Services are read from the cluster, or, with -f, from manifests.
With -o networkpolicy, write for each engine that listens on a port a NetworkPolicy that lets only pods reach it that may be injected:
those of namespaces with the label, and, where the cluster's policy lets a pod's own label count, those with it.
Standard error says what an engine does not offer, and why. The exit code is 1 when there is no engine.`,
		Example: `  dagger-inject engine -n dagger --watch
  dagger-inject engine -n dagger dagger-dagger-helm-engine
  dagger-inject engine -n dagger --project ci/gitlab:42
  dagger-inject engine -n dagger -o networkpolicy | kubectl apply -f -
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
	f.addFlags(cmd)
	flags.StringVar(&f.releaseNamespace, "release-namespace", "", releaseNamespaceHelp)
	flags.StringVarP(&f.output, "output", "o", "", "output format: json, yaml or networkpolicy; text without it")
	flags.BoolVarP(&f.watch, "watch", "w", false, "show the engines again whenever something has changed, until interrupted")
	flags.StringVar(&f.project, "project", "", "NAMESPACE/KEY of a project, as in ci/gitlab:42: show where its jobs go by its cache")
	return cmd
}

func runEngine(ctx context.Context, s streams, f *engineFlags, name string) error {
	if f.output != outputNetworkPolicy {
		if err := checkOutput(f.output); err != nil {
			return err
		}
	}
	switch {
	case f.output == outputNetworkPolicy && (f.watch || f.project != ""):
		return badInputf("-o networkpolicy goes without --watch and --project")
	case f.watch && len(f.files) > 0:
		return badInputf("--watch goes with a cluster: -f reads manifests, which do not change")
	case f.watch && name != "":
		return badInputf("--watch goes without a NAME")
	case f.project != "" && (f.watch || name != "" || f.selector != ""):
		return badInputf("--project goes without a NAME, --watch and --selector")
	case f.project != "":
		return f.runProject(ctx, s)
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
	if f.output == outputNetworkPolicy {
		return looked.writeNetworkPolicies(s, name)
	}
	looked.writeNotes(s.err, name)
	if name == "" {
		return f.write(s.out, looked.report)
	}
	return f.writeOne(s.out, looked, name)
}

// watchInterval is how often the cluster is asked while it is watched.
const watchInterval = 3 * time.Second

// watchEngines writes the engines whenever the output has changed.
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
			_ = terminal.Line(&b, "%v", err) // the next attempt may find engines
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
