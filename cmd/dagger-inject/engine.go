package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

type engineFlags struct {
	files      []string
	namespace  string
	selector   string
	kubeconfig string
	output     string
}

func newEngineCommand(s streams) *cobra.Command {
	var f engineFlags
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Show what can be read of a Dagger Engine off its workload",
		Long: `Show what can be read of a Dagger Engine off the workload that runs it: socket, ports, group, image, Service and placement.

The workloads (DaemonSets, StatefulSets and Deployments) and Services are read from the cluster's namespace, or, with -f, from
manifests. What is not offered, and why, goes to standard error. The exit code is 1 when there is no engine, or more than one.`,
		Example: `  dagger-inject engine -n dagger
  helm template dagger oci://registry.dagger.io/dagger-helm -n dagger | dagger-inject engine -f - -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runEngine(cmd.Context(), s, &f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil, "manifests to read instead of the cluster; - is standard input; may be repeated")
	flags.StringVarP(&f.namespace, "namespace", "n", "dagger", "namespace of the engine")
	flags.StringVarP(&f.selector, "selector", "l", "", "label selector that narrows the workloads, where several engines share the namespace")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", kubeconfigHelp)
	flags.StringVarP(&f.output, "output", "o", "", "output format: json or yaml; text without it")
	return cmd
}

func runEngine(ctx context.Context, s streams, f *engineFlags) error {
	if f.output != "" && f.output != "json" && f.output != "yaml" {
		return badInputf("-o %q is not accepted: accepted is json or yaml", f.output)
	}
	selector, err := labels.Parse(f.selector)
	if err != nil {
		return badInputf("--selector: %w", err)
	}
	w, err := f.workloads(ctx, s.in)
	if err != nil {
		return err
	}
	found, err := w.Discover(selector)
	if err != nil {
		where := "namespace " + f.namespace
		if f.selector != "" {
			where += ", labels " + f.selector
		}
		return fmt.Errorf("%s: %w; an engine elsewhere is found with --namespace and --selector", where, err)
	}
	for _, note := range found.Notes {
		_, _ = fmt.Fprintf(s.err, "%s: %s\n", found.Workload, note)
	}
	if f.output != "" {
		return writeObject(s.out, f.output, found)
	}
	return printEngine(s.out, found)
}

// workloads reads the objects among which engines are looked for.
func (f *engineFlags) workloads(ctx context.Context, stdin io.Reader) (*engine.Workloads, error) {
	if len(f.files) == 0 {
		return readCluster(ctx, f)
	}
	objects, err := readObjects(f.files, stdin)
	if err != nil {
		return nil, err
	}
	return workloadsIn(objects, f.namespace)
}

// offlineEngines reads engines off manifests, as the webhook does off the cluster; nil without manifests. The pods are in the
// namespace own.
func offlineEngines(objects []manifestObject, own string) inject.Engines {
	if len(objects) == 0 {
		return nil
	}
	return func(namespace string, selector labels.Selector) (*engine.Discovered, error) {
		if namespace = cmp.Or(namespace, own); namespace == "" {
			return nil, errors.New("which namespace is the pod's own is not known")
		}
		w, err := workloadsIn(objects, namespace)
		if err != nil {
			return nil, err
		}
		found, err := w.Discover(selector)
		if err != nil {
			return nil, fmt.Errorf("namespace %s: %w", namespace, err)
		}
		return found, nil
	}
}

// manifestObject is an object of a manifest; the name says where it stands.
type manifestObject struct {
	name string
	rawjson.Value
}

// readObjects reads manifests, and the items of the lists in them.
func readObjects(files []string, stdin io.Reader) ([]manifestObject, error) {
	var objects []manifestObject
	for _, file := range files {
		documents, err := readDocuments(file, stdin)
		if err != nil {
			return nil, err
		}
		for _, d := range documents {
			var index rawjson.Document
			root, err := index.Parse(string(d.json))
			if err != nil {
				return nil, badInputf("%s: %w", d.name, err)
			}
			items := root.Get("items")
			if items.Kind() != rawjson.Array {
				objects = append(objects, manifestObject{d.name, root})
				continue
			}
			for _, item := range items.Elements() {
				objects = append(objects, manifestObject{d.name, item})
			}
		}
	}
	return objects, nil
}

// workloadsIn returns the workloads and Services of a namespace from manifests. Objects that name no namespace belong to it.
func workloadsIn(objects []manifestObject, namespace string) (*engine.Workloads, error) {
	var w engine.Workloads
	for _, object := range objects {
		if own, _ := object.Get("metadata").Get("namespace").Str(); own != "" && own != namespace {
			continue
		}
		var err error
		switch kind, _ := object.Get("kind").Str(); kind {
		case "DaemonSet":
			w.DaemonSets, err = appendObject(w.DaemonSets, object, namespace)
		case "StatefulSet":
			w.StatefulSets, err = appendObject(w.StatefulSets, object, namespace)
		case "Deployment":
			w.Deployments, err = appendObject(w.Deployments, object, namespace)
		case "Service":
			w.Services, err = appendObject(w.Services, object, namespace)
		}
		if err != nil {
			return nil, badInputf("%s: %w", object.name, err)
		}
	}
	return &w, nil
}

// appendObject decodes an object and puts it into the namespace.
func appendObject[T any, P interface {
	*T
	metav1.Object
}](to []T, object manifestObject, namespace string) ([]T, error) {
	var decoded T
	if err := json.Unmarshal([]byte(object.Text()), &decoded); err != nil {
		return nil, err
	}
	P(&decoded).SetNamespace(namespace)
	return append(to, decoded), nil
}

func readCluster(ctx context.Context, f *engineFlags) (*engine.Workloads, error) {
	reader, err := clusterClient(f.kubeconfig)
	if err != nil {
		return nil, err
	}
	return cluster.Workloads(ctx, reader, f.namespace)
}

func printEngine(out io.Writer, d *engine.Discovered) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s"+format+"\n", append([]any{name}, args...)...)
	}
	line("engine", "%s", d.Workload)
	line("image", "%s", d.Image)
	if d.Version != "" {
		line("version", "%s", d.Version)
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
