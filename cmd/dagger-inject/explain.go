package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// The exit codes of explain, beside those of every command.
const (
	exitDoesNotApply = 3
	exitCannot       = 4
)

type explainFlags struct {
	injectFlags
	cluster    []string
	filesAlone bool
	clusterAccess
	releaseNamespace string
}

func newExplainCommand(s streams) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain pod NAME | namespace NAME | -f FILE",
		Short: "Explain what happens to a pod, and why",
		Long: `Explain what happens to a pod, and why: the verdict first, then how it comes about.

The decision is the webhook's own, run here. For a pod that exists, it is on its controller's pod template, or on the pod less
what injection added; the output says on which, and how the pod's dagger.io/status compares. For a namespace, it is on a CI job
with and without the label. FILE is a Pod, a List, several documents, or workloads with a pod template; "inject" says more.

What the webhook knows is read from the cluster: the webhook configurations, the namespace, the policies, the engine; and the
nodes. The output names what may not be read, and explains the rest. With --policy, --engine, --cluster,
--namespace-labels or --offline, FILE is explained by files alone, and no cluster is needed.

The exit code is 0 when the pod is injected or would be, 3 when injection does not apply to it, 4 when it cannot be injected,
2 when the input is bad, and 1 when it is not known. Of several objects, it is that of the worst.`,
		Example: `  dagger-inject explain pod arc-runner-set-x7k2m -n ci
  dagger-inject explain namespace ci -o json
  dagger-inject explain -f pod.yaml -n ci

  # Without a cluster
  dagger-inject explain -f pod.yaml --policy policy.yaml --engine engine.yaml --namespace-labels dagger.io/inject=true

  # By what a cluster had at some time
  kubectl get -A -o yaml mutatingwebhookconfigurations,namespaces,limitranges,nodes > cluster.yaml
  (echo ---; kubectl get -A -o yaml daemonsets,statefulsets,deployments,services,pods) >> cluster.yaml
  dagger-inject explain pod arc-runner-set-x7k2m -n ci --cluster cluster.yaml --policy policy.yaml`,
		Args: func(cmd *cobra.Command, args []string) error { return f.check(cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error { return runExplain(cmd.Context(), s, &f, args) },
	}
	flags := cmd.Flags()
	f.inputs(flags)
	flags.Lookup("namespace").Usage = "namespace of the pod or the objects (default: the objects' own, else the context's)"
	flags.StringArrayVar(&f.cluster, "cluster", nil, "manifests to read instead of the cluster; may be repeated")
	flags.BoolVar(&f.filesAlone, "offline", false, "explain by files alone, also where none is given beside FILE")
	f.addFlags(cmd)
	flags.StringVar(&f.releaseNamespace, "release-namespace", "", releaseNamespaceHelp)
	flags.StringVarP(&f.output, "output", "o", "", "output format: json or yaml; text without it. Several objects of FILE are a list")
	return cmd
}

func (f *explainFlags) check(cmd *cobra.Command, args []string) error {
	help := "(see " + cmd.CommandPath() + " --help)"
	if err := checkOutput(f.output); err != nil {
		return err
	}
	switch {
	case f.file != "" && len(args) > 0:
		return badInputf("-f FILE does not go with %q %s", args[0], help)
	case f.file != "":
		return nil
	case len(args) == 0:
		return badInputf("missing what to explain: pod NAME, namespace NAME or -f FILE %s", help)
	case args[0] != "pod" && args[0] != "namespace":
		return badInputf("%q cannot be explained: want pod NAME, namespace NAME or -f FILE %s", args[0], help)
	case len(args) != 2:
		return badInputf("want one NAME after %s, got %d %s", args[0], len(args)-1, help)
	case f.offline() && len(f.cluster) == 0 && args[0] == "pod":
		return badInputf("a pod that exists is read from the cluster, or from --cluster FILE %s", help)
	}
	return nil
}

// otherwise returns the namespace of objects that name none.
func (f *explainFlags) otherwise() string {
	if f.offline() {
		return "default"
	}
	return f.contextNamespace()
}

// explained is an explanation that can be printed, with what decides the exit code.
type explained struct {
	outcome explain.Outcome
	object  any
	text    func(io.Writer) error
}

func runExplain(ctx context.Context, s streams, f *explainFlags, args []string) error {
	explainer, err := f.explainer(ctx)
	if err != nil {
		return err
	}
	var all []explained
	switch {
	case f.file != "":
		all, err = f.explainFile(ctx, s, explainer)
	case args[0] == "pod":
		var e *explain.Explanation
		if e, err = explainer.Pod(ctx, cmp.Or(f.namespace, f.otherwise()), args[1]); err == nil {
			all = append(all, explained{e.Outcome, e, e.Text})
		}
	default:
		var n *explain.Namespace
		if n, err = explainer.Namespace(ctx, args[1]); err == nil {
			all = append(all, explained{n.Outcome(), n, n.Text})
		}
	}
	if err != nil {
		return err
	}
	if err := f.print(s, all); err != nil {
		return err
	}
	return worst(all)
}

// explainFile explains every object of the file that has a pod template.
func (f *explainFlags) explainFile(ctx context.Context, s streams, explainer *explain.Explainer) ([]explained, error) {
	documents, err := readDocuments(f.file, s.in)
	if err != nil {
		return nil, err
	}
	var all []explained
	for _, d := range documents {
		err := d.eachObject(func(object rawjson.Value, kind, pointer string) error {
			own, _ := object.Get("metadata").Get("namespace").Str()
			e, found := explainer.Object(ctx, object, kind, cmp.Or(f.namespace, own, f.otherwise()))
			if !found {
				return nil
			}
			if e.Outcome == explain.OutcomeUnknown && e.Reason != "" {
				return badInputf("%s: %s: %s%s", d.name, e.Subject, fieldPrefix(pointer), e.Message)
			}
			all = append(all, explained{e.Outcome, e, e.Text})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, badInputf("%s: nothing in it has a pod template", f.file)
	}
	return all, nil
}

func (f *explainFlags) print(s streams, all []explained) error {
	if f.output != "" {
		object := all[0].object
		if len(all) > 1 {
			list := make([]any, len(all))
			for i := range all {
				list[i] = all[i].object
			}
			object = list
		}
		return writeObject(s.out, f.output, object)
	}
	for i, e := range all {
		if i > 0 {
			_, _ = io.WriteString(s.out, "\n")
		}
		if err := e.text(s.out); err != nil {
			return err
		}
	}
	return nil
}

// worst returns an error with the exit code of the worst outcome, or nil if everything would be injected.
func worst(all []explained) error {
	for _, bad := range []struct {
		outcome explain.Outcome
		code    int
	}{{explain.OutcomeUnknown, exitFailure}, {explain.OutcomeCannot, exitCannot}, {explain.OutcomeDoesNotApply, exitDoesNotApply}} {
		if slices.ContainsFunc(all, func(e explained) bool { return e.outcome == bad.outcome }) {
			return exitError{errSaid, bad.code}
		}
	}
	return nil
}

// errSaid is an error that the output has already explained.
var errSaid = errors.New("")
