package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

type injectFlags struct {
	file                 string
	policy               string
	namespacePolicy      string
	engines              []string
	namespace            string
	namespaceLabels      map[string]string
	namespaceAnnotations map[string]string
	nodeIPv6             bool
	kubeVersion          string
	imageVolumes         bool
	objects              []manifestObject // of engines
	ready                engine.Ready
	version              string // in the status annotation, if not this program's
	output               string
}

func newInjectCommand(s streams) *cobra.Command {
	var f injectFlags
	cmd := &cobra.Command{
		Use:   "inject -f FILE",
		Short: "Do offline what the webhook does to a pod",
		Long: `Do offline what the webhook does to a pod, by the same code.

FILE is YAML or JSON: a Pod, a List, several documents, or any workload with a pod template (Deployment, StatefulSet,
DaemonSet, Job, CronJob, RunnerDeployment, RunnerSet, AutoscalingRunnerSet, EphemeralRunner and others). Other objects pass
through unchanged. The result goes to standard output; one line an object, with the decision and the reason, goes to
standard error.

The exit code is 0 when every object was decided, injected or not, and 2 when the input is bad.`,
		Example: `  # What would change
  dagger-inject inject -f pod.yaml -o diff

  # A namespace that opts in, and a policy of one's own
  dagger-inject inject -f runners.yaml --policy policy.yaml --namespace-labels dagger.io/inject=true

  # With an engine as the Dagger chart installs it
  helm template dagger oci://registry.dagger.io/dagger-helm -n dagger > engine.yaml
  dagger-inject inject -f pod.yaml --policy policy.yaml --engine engine.yaml

  # As a filter
  helm template arc . | dagger-inject inject -f - -o yaml | kubectl apply -f -`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return runInject(s, &f) },
	}
	flags := cmd.Flags()
	f.inputs(flags)
	flags.StringVarP(&f.output, "output", "o", "", "yaml, json, patch (the JSON patch) or diff (default: diff on a terminal, else yaml)")
	return cmd
}

// inputs adds the flags for the objects to decide on and for what decides.
func (f *injectFlags) inputs(flags *pflag.FlagSet) {
	flags.StringVarP(&f.file, "file", "f", "", "file to read; - is standard input")
	flags.StringVar(&f.policy, "policy", "", policyHelp)
	flags.StringVar(&f.namespacePolicy, "namespace-policy", "", namespacePolicyHelp)
	flags.StringArrayVar(&f.engines, "engine", nil,
		"manifests to read the engine off, and its pods, as the webhook does off the cluster; may be repeated")
	flags.StringVarP(&f.namespace, "namespace", "n", "", "namespace the objects are created in (default: the objects' own, else default)")
	flags.StringToStringVar(&f.namespaceLabels, "namespace-labels", nil, "labels of that namespace")
	flags.StringToStringVar(&f.namespaceAnnotations, "namespace-annotations", nil, "annotations of that namespace")
	flags.BoolVar(&f.nodeIPv6, "node-ipv6", false, "the nodes' addresses are IPv6, which the webhook sees from its own")
	flags.StringVar(&f.kubeVersion, "kube-version", defaultKubeVersion, kubeVersionHelp)
}

func runInject(s streams, f *injectFlags) error {
	if f.file == "" {
		return badInputf("missing -f FILE: the file to read, - for standard input (see dagger-inject inject --help)")
	}
	if f.output == "" {
		f.output = "yaml"
		if s.outIsTerminal() {
			f.output = "diff"
		}
	}
	show, ok := renderers[f.output]
	if !ok {
		return badInputf("-o %q is not accepted: accepted is yaml, json, patch or diff", f.output)
	}
	results, err := f.results(s.in)
	if err != nil {
		return err
	}
	for _, r := range results {
		for _, line := range r.lines {
			_ = terminal.Line(s.err, "%s", line)
		}
	}
	return show(s, results)
}

// results decides every document of the file before anything is written: users would take half an output for all of it.
func (f *injectFlags) results(stdin io.Reader) ([]result, error) {
	var err error
	if f.imageVolumes, err = hasImageVolumes(f.kubeVersion); err != nil {
		return nil, err
	}
	if len(f.engines) > 0 {
		if f.objects, err = readObjects(f.engines, nil); err != nil {
			return nil, err
		}
	}
	policies, err := loadPolicies(f.policy, f.namespacePolicy, offlineEngines(f.objects, ""))
	if err != nil {
		return nil, err
	}
	if f.ready, err = offlineReady(f.objects, policies.CacheAffinityNamespaces()); err != nil {
		return nil, err
	}
	documents, err := readDocuments(f.file, stdin)
	if err != nil {
		return nil, err
	}
	results := make([]result, len(documents))
	for i, d := range documents {
		if results[i], err = f.decide(d, policies); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// result is the outcome of one document.
type result struct {
	document
	operations []patch.Operation
	lines      []string // its lines for standard error
}

// decide decides what happens to a document's object, or to each item of a List.
func (f *injectFlags) decide(d document, policies *inject.Policies) (result, error) {
	r := result{document: d}
	err := d.eachObject(func(object rawjson.Value, kind, pointer string) error {
		return f.decideObject(&r, object, kind, pointer, policies)
	})
	return r, err
}

func (f *injectFlags) decideObject(r *result, object rawjson.Value, kind, pointer string, policies *inject.Policies) error {
	if kind == "" {
		return badInputf("%s: %s%skind: missing: want a Kubernetes object", r.name, r.at(fieldPrefix(pointer)), fieldPrefix(pointer))
	}
	metadata := object.Get("metadata")
	name, _ := metadata.Get("name").Str()
	prefix, _ := metadata.Get("generateName").Str()
	own, _ := metadata.Get("namespace").Str()
	namespace := cmp.Or(f.namespace, own, "default")
	subject := fmt.Sprintf("%s %s/%s", kind, namespace, cmp.Or(name, prefix+"*"))

	template, ok := inject.FindTemplate(object, kind)
	if !ok {
		r.lines = append(r.lines, subject+": unchanged: it has no pod template")
		return nil
	}
	plan := inject.Decide(inject.Input{
		Pod:        template.Pod,
		Pointer:    pointer + template.Pointer,
		Namespace:  inject.Namespace{Name: namespace, Labels: f.namespaceLabels, Annotations: f.namespaceAnnotations},
		System:     template.System,
		RunnerSpec: template.RunnerSpec,
		Cluster:    inject.Cluster{NodeIPv6: f.nodeIPv6, ImageVolumes: f.imageVolumes},
		Ready:      f.ready,
		Policies:   policies.Within(offlineEngines(f.objects, namespace)),
		Version:    cmp.Or(f.version, version),
	})
	if plan.Decision == inject.DecisionError {
		field := fieldPrefix(pointer+template.Pointer) + plan.Detail
		path, _, _ := strings.Cut(field, ":")
		return badInputf("%s: %s%s: %s", r.name, r.at(path), subject, field)
	}
	r.operations = append(r.operations, plan.Operations...)
	r.lines = append(r.lines, fmt.Sprintf("%s: %s (%s): %s", subject, plan.Decision, plan.Reason, summary(plan)))
	for _, warning := range plan.Warnings {
		r.lines = append(r.lines, "  warning: "+warning)
	}
	return nil
}

// fieldPrefix converts a JSON pointer to the notation of field paths.
func fieldPrefix(pointer string) string {
	if pointer == "" {
		return ""
	}
	return strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".") + "."
}

// summary returns one line that says what was done, or why nothing was.
func summary(plan *inject.Plan) string {
	if plan.Decision != inject.DecisionInjected {
		return plan.Message()
	}
	s := plan.Status
	noun := "container"
	if len(s.Containers) > 1 {
		noun = "containers"
	}
	text := fmt.Sprintf("%s %s, engine %s by %s", noun, strings.Join(s.Containers, ", "), s.Engine, s.Transport)
	if s.CLIImage != "" {
		text += ", dagger from " + s.CLIImage
	}
	for _, left := range s.Left {
		text += fmt.Sprintf("; %s %s", left.Name, left.Because)
	}
	for _, moved := range s.Moved {
		text += fmt.Sprintf("; %s has %s, %s", moved.Name, moved.Path, moved.Because)
	}
	return text
}
