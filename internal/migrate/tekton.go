package migrate

import (
	"fmt"
	"strconv"

	"github.com/dagger-inject/dagger-inject/inject"
)

// tekton looks for the Tasks of Tekton in an object: each makes a pod, whose containers are its steps and sidecars.
func (f *found) tekton(o map[string]any, kind, at, name, namespace string) {
	switch kind {
	case "Task", "ClusterTask":
		f.task(taskAt{object(o, "spec"), at + "/spec", nil, "", at + "/metadata", object(o, "metadata")}, name, namespace)
	case "TaskRun":
		f.task(taskAt{object(o, "spec", "taskSpec"), at + "/spec/taskSpec", object(o, "spec", "podTemplate"), at + "/spec/podTemplate",
			at + "/metadata", object(o, "metadata")}, name, namespace)
	case "Pipeline":
		f.pipeline(object(o, "spec"), at+"/spec", nil, "", name, namespace)
	case "PipelineRun":
		template, templateAt := object(o, "spec", "taskRunTemplate", "podTemplate"), at+"/spec/taskRunTemplate/podTemplate"
		if template == nil {
			template, templateAt = object(o, "spec", "podTemplate"), at+"/spec/podTemplate"
		}
		f.pipeline(object(o, "spec", "pipelineSpec"), at+"/spec/pipelineSpec", template, templateAt, name, namespace)
	}
}

func (f *found) pipeline(spec map[string]any, at string, template map[string]any, templateAt, name, namespace string) {
	for _, list := range []string{"tasks", "finally"} {
		tasks, _ := spec[list].([]any)
		for i, t := range tasks {
			own := object(t, "taskSpec")
			if own == nil {
				continue // it refers to a Task
			}
			taskAtPointer := at + pointer(list, strconv.Itoa(i), "taskSpec")
			f.task(taskAt{own, taskAtPointer, template, templateAt, taskAtPointer + "/metadata", object(own, "metadata")},
				fmt.Sprintf("%s, task %s", name, text(t, "name")), namespace)
		}
	}
}

// taskAt is a Task's spec, and what else its pods are made from, with where they stand.
type taskAt struct {
	spec       map[string]any
	at         string
	template   map[string]any // a pod template of Tekton's
	templateAt string
	metadataAt string
	metadata   map[string]any
}

// task makes the pod of a Task (tektoncd/pipeline, pkg/pod, and MergeStepsWithStepTemplate).
func (f *found) task(t taskAt, name, namespace string) {
	if len(list(t.spec, "steps")) == 0 {
		return
	}
	w := &workload{name: name, namespace: namespace, system: inject.SystemTekton, pod: map[string]any{},
		labels: t.metadataAt + "/labels", annotations: t.metadataAt + "/annotations"}
	w.origins = []origin{{"", t.at}}
	metadata := map[string]any{}
	for _, field := range []string{"labels", "annotations"} {
		if has(t.metadata, field) {
			metadata[field] = clone(t.metadata[field])
			w.origins = append(w.origins, origin{"/metadata/" + field, t.metadataAt + "/" + field})
		}
	}
	w.pod["metadata"] = metadata
	spec := map[string]any{}
	w.pod["spec"] = spec
	for _, field := range []string{"tolerations", "nodeSelector", "affinity", "securityContext"} {
		if has(t.template, field) {
			spec[field] = clone(t.template[field])
			w.origins = append(w.origins, origin{"/spec/" + field, t.templateAt + "/" + field})
		}
	}
	var containers []any
	for i, step := range list(t.spec, "steps") {
		containers = append(containers, w.step(t, step, i))
	}
	for i, sidecar := range list(t.spec, "sidecars") {
		own, _ := clone(sidecar).(map[string]any)
		if own == nil {
			own = map[string]any{}
		}
		own["name"] = "sidecar-" + text(own, "name")
		scriptToArgs(own, "script")
		place := pointer("spec", "containers", strconv.Itoa(len(containers)))
		w.origins = append(w.origins, origin{place, t.at + pointer("sidecars", strconv.Itoa(i))})
		containers = append(containers, own)
	}
	spec["containers"] = containers
	w.join(spec, "volumes", "/spec/volumes",
		listAt{list(t.spec, "volumes"), t.at + "/volumes"}, listAt{list(t.template, "volumes"), t.templateAt + "/volumes"})
	f.workloads = append(f.workloads, w)
}

// step makes the container of a step: the step template's fields, and over them the step's own.
func (w *workload) step(t taskAt, step any, i int) map[string]any {
	own, _ := clone(step).(map[string]any)
	if own == nil {
		own = map[string]any{}
	}
	shared := object(t.spec, "stepTemplate")
	for field, value := range shared {
		if !has(own, field) {
			own[field] = clone(value)
		}
	}
	at := pointer("spec", "containers", strconv.Itoa(i))
	source := t.at + pointer("steps", strconv.Itoa(i))
	w.origins = append(w.origins, origin{at, source})
	w.join(own, "env", at+"/env", listAt{list(t.template, "env"), t.templateAt + "/env"},
		listAt{list(shared, "env"), t.at + "/stepTemplate/env"}, listAt{list(step, "env"), source + "/env"})
	w.join(own, "volumeMounts", at+"/volumeMounts",
		listAt{list(shared, "volumeMounts"), t.at + "/stepTemplate/volumeMounts"}, listAt{list(step, "volumeMounts"), source + "/volumeMounts"})
	if own["name"] = "step-" + text(own, "name"); own["name"] == "step-" {
		own["name"] = "step-unnamed-" + strconv.Itoa(i)
	}
	scriptToArgs(own, "script")
	return own
}

// scriptToArgs puts a script that the controller runs by a file where a container's own would be.
func scriptToArgs(container map[string]any, field string) {
	if script := text(container, field); script != "" {
		container["args"] = []any{script}
		delete(container, field)
	}
}

// listAt is a list and where it stands.
type listAt struct {
	list []any
	at   string
}

// join makes one list of the pod of several of the document.
func (w *workload) join(of map[string]any, name, at string, lists ...listAt) {
	var all []any
	for _, l := range lists {
		for i, element := range l.list {
			w.origins = append(w.origins, origin{at + pointer(strconv.Itoa(len(all))), l.at + pointer(strconv.Itoa(i))})
			all = append(all, clone(element))
		}
	}
	if len(all) > 0 {
		of[name] = all
	}
}
