package migrate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// found is what a document has.
type found struct {
	workloads []*workload
	// others names objects that no pods are made from, or that are not known.
	others []string
}

// find looks for workloads in a document. Objects that name no namespace are in the one that is given.
func find(tree any, namespace string) (found, error) {
	var f found
	root, _ := tree.(map[string]any)
	kind := text(root, "kind")
	if items, isList := root["items"].([]any); isList && strings.HasSuffix(kind, "List") {
		for i, item := range items {
			o, _ := item.(map[string]any)
			itemKind := cmp.Or(text(o, "kind"), strings.TrimSuffix(kind, "List"))
			if err := f.object(o, itemKind, pointer("items", strconv.Itoa(i)), namespace); err != nil {
				return f, err
			}
		}
		return f, nil
	}
	return f, f.object(root, kind, "", namespace)
}

// object looks for the workloads of one object, which stands at a pointer.
func (f *found) object(o map[string]any, kind, at, namespace string) error {
	metadata := object(o, "metadata")
	namespace = cmp.Or(text(metadata, "namespace"), namespace, "default")
	name := subject(kind, namespace, metadata)
	before := len(f.workloads)
	group, _, _ := strings.Cut(text(o, "apiVersion"), "/")
	var err error
	switch {
	case group == "tekton.dev":
		f.tekton(o, kind, at, name, namespace)
	case group == "argoproj.io" && has(o, "spec", "templates"), group == "argoproj.io" && kind == "CronWorkflow":
		f.argo(o, kind, at, name, namespace)
	case kind != "":
		err = f.template(o, kind, at, name, namespace)
	}
	if err == nil && len(f.workloads) == before {
		f.values(o, at, namespace)
	}
	if len(f.workloads) == before && err == nil {
		if kind == "" {
			name = "a document without a kind"
		}
		f.others = append(f.others, name)
	}
	return err
}

// template looks for a pod, or a pod template, where injection itself finds it.
func (f *found) template(o map[string]any, kind, at, name, namespace string) error {
	encoded, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var d rawjson.Document
	root, err := d.Parse(string(encoded))
	if err != nil {
		return err
	}
	t, ok := inject.FindTemplate(root, kind)
	if !ok {
		return nil
	}
	pod, ok := get(o, names(t.Pointer)...).(map[string]any)
	if !ok {
		return fmt.Errorf("%s: %s: want a pod template", name, t.Pointer)
	}
	w := &workload{
		name: name, namespace: namespace, system: t.System, pod: clone(pod).(map[string]any),
		origins: []origin{{"", at + t.Pointer}},
		labels:  at + t.Pointer + "/metadata/labels", annotations: at + t.Pointer + "/metadata/annotations",
	}
	if t.RunnerSpec {
		w.makeLegacyRunner()
	}
	f.workloads = append(f.workloads, w)
	return nil
}

// runnerFields are those of legacy ARC's RunnerSpec that are the runner container's, not the pod's.
var runnerFields = []string{"image", "imagePullPolicy", "env", "envFrom", "resources", "volumeMounts"}

// makeLegacyRunner turns a RunnerSpec into the spec of the pod that legacy ARC makes from it (actions.summerwind.net,
// runner_controller.go, newRunnerPodWithContainerMode).
func (w *workload) makeLegacyRunner() {
	spec := member(w.pod, "spec")
	at := w.origins[0].source + "/spec"
	runner := map[string]any{"name": "runner"}
	containers := list(spec, "containers")
	if own, listed := get(containers, "0").(map[string]any); listed && text(own, "name") == "runner" {
		runner = own
	} else {
		w.origins = append(w.origins, origin{"/spec/containers", ofController})
		containers = []any{runner}
	}
	for _, field := range runnerFields {
		if has(spec, field) && !has(runner, field) {
			runner[field] = spec[field]
			w.origins = append(w.origins, origin{"/spec/containers/0/" + field, at + "/" + field})
		}
		delete(spec, field)
	}
	for i, sidecar := range list(spec, "sidecarContainers") {
		place := pointer("spec", "containers", strconv.Itoa(len(containers)))
		w.origins = append(w.origins, origin{place, at + pointer("sidecarContainers", strconv.Itoa(i))})
		containers = append(containers, sidecar)
	}
	delete(spec, "sidecarContainers")
	enabled, set := spec["dockerEnabled"].(bool)
	within, _ := spec["dockerdWithinRunnerContainer"].(bool)
	if !within && (enabled || !set) && text(spec, "containerMode") != "kubernetes" {
		mount := map[string]any{"name": "var-run", "mountPath": "/run"}
		appendTo(runner, "volumeMounts", mount)
		containers = append(containers, map[string]any{
			"name": "docker", "image": "docker:dind", "securityContext": map[string]any{"privileged": true}, "volumeMounts": []any{mount},
		})
		appendTo(spec, "volumes", map[string]any{"name": "var-run", "emptyDir": map[string]any{"medium": "Memory"}})
	}
	spec["containers"] = containers
}

// appendTo adds what a controller adds to a list, behind what the document has.
func appendTo(of map[string]any, name string, value any) {
	have, _ := of[name].([]any)
	of[name] = append(append([]any{}, have...), value)
}
