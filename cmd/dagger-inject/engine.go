package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
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
	var w workloads
	if len(f.files) > 0 {
		for _, file := range f.files {
			if err := w.readFile(file, f.namespace, s.in); err != nil {
				return err
			}
		}
	} else if err := w.readCluster(ctx, f); err != nil {
		return err
	}
	found, err := engine.Discover(w.selected(selector), w.services)
	if err != nil {
		return err
	}
	for _, note := range found.Notes {
		_, _ = fmt.Fprintf(s.err, "%s: %s\n", found.Workload, note)
	}
	switch f.output {
	case "json":
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(found)
	case "yaml":
		text, err := yaml.Marshal(found)
		if err == nil {
			_, err = s.out.Write(text)
		}
		return err
	}
	return printEngine(s.out, found)
}

// workloads are what engines are looked for among.
type workloads struct {
	candidates []engine.Candidate
	services   []corev1.Service
}

// offlineEngines reads engines off manifests, as the webhook does off the cluster; nil without manifests.
func offlineEngines(files []string) (inject.Engines, error) {
	if len(files) == 0 {
		return nil, nil
	}
	for _, file := range files {
		if _, err := readDocuments(file, nil); err != nil {
			return nil, err
		}
	}
	return func(namespace string, selector labels.Selector) (*engine.Discovered, error) {
		var w workloads
		for _, file := range files {
			if err := w.readFile(file, namespace, nil); err != nil {
				return nil, err
			}
		}
		return engine.Discover(w.selected(selector), w.services)
	}, nil
}

func (w *workloads) selected(selector labels.Selector) []engine.Candidate {
	var selected []engine.Candidate
	for _, c := range w.candidates {
		if selector.Matches(labels.Set(c.Labels)) {
			selected = append(selected, c)
		}
	}
	return selected
}

// readFile takes the workloads and Services of the namespace out of manifests; those that name no namespace belong to it.
func (w *workloads) readFile(file, namespace string, stdin io.Reader) error {
	documents, err := readDocuments(file, stdin)
	if err != nil {
		return err
	}
	for _, d := range documents {
		var index rawjson.Document
		root, err := index.Parse(string(d.json))
		if err != nil {
			return badInputf("%s: %w", d.name, err)
		}
		objects := []rawjson.Value{root}
		if items := root.Get("items"); items.Kind() == rawjson.Array {
			objects = nil
			for _, item := range items.Elements() {
				objects = append(objects, item)
			}
		}
		for _, object := range objects {
			if err := w.add(object, namespace); err != nil {
				return badInputf("%s: %w", d.name, err)
			}
		}
	}
	return nil
}

func (w *workloads) add(object rawjson.Value, namespace string) error {
	if own, _ := object.Get("metadata").Get("namespace").Str(); own != "" && own != namespace {
		return nil
	}
	kind, _ := object.Get("kind").Str()
	text := []byte(object.Text())
	switch kind {
	case "DaemonSet":
		var d appsv1.DaemonSet
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		d.Namespace = namespace
		w.candidates = append(w.candidates, engine.FromDaemonSet(&d))
	case "StatefulSet":
		var s appsv1.StatefulSet
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		s.Namespace = namespace
		w.candidates = append(w.candidates, engine.FromStatefulSet(&s))
	case "Deployment":
		var d appsv1.Deployment
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		d.Namespace = namespace
		w.candidates = append(w.candidates, engine.FromDeployment(&d))
	case "Service":
		var s corev1.Service
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		w.services = append(w.services, s)
	}
	return nil
}

func (w *workloads) readCluster(ctx context.Context, f *engineFlags) error {
	restConfig, err := clusterConfig(f.kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return err
	}
	daemonSets, errD := client.AppsV1().DaemonSets(f.namespace).List(ctx, metav1.ListOptions{})
	statefulSets, errS := client.AppsV1().StatefulSets(f.namespace).List(ctx, metav1.ListOptions{})
	deployments, errP := client.AppsV1().Deployments(f.namespace).List(ctx, metav1.ListOptions{})
	services, errV := client.CoreV1().Services(f.namespace).List(ctx, metav1.ListOptions{})
	if err := errors.Join(errD, errS, errP, errV); err != nil {
		return fmt.Errorf("reading the namespace %s: %w", f.namespace, err)
	}
	for i := range daemonSets.Items {
		w.candidates = append(w.candidates, engine.FromDaemonSet(&daemonSets.Items[i]))
	}
	for i := range statefulSets.Items {
		w.candidates = append(w.candidates, engine.FromStatefulSet(&statefulSets.Items[i]))
	}
	for i := range deployments.Items {
		w.candidates = append(w.candidates, engine.FromDeployment(&deployments.Items[i]))
	}
	w.services = services.Items
	return nil
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
