package migrate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
)

// argo looks for the templates of an Argo workflow: each that runs containers makes a pod.
func (f *found) argo(o map[string]any, kind, at, name, namespace string) {
	spec, specAt := object(o, "spec"), at+"/spec"
	if kind == "CronWorkflow" {
		spec, specAt = object(spec, "workflowSpec"), specAt+"/workflowSpec"
	}
	for i, t := range list(spec, "templates") {
		template, _ := t.(map[string]any)
		if has(template, "container") || has(template, "script") || has(template, "containerSet") {
			called := fmt.Sprintf("%s, template %s", name, text(template, "name"))
			f.argoTemplate(spec, specAt, template, specAt+pointer("templates", strconv.Itoa(i)), called, namespace)
		}
	}
}

// argoTemplate makes the pod of one template (argoproj/argo-workflows, workflow/controller/workflowpod.go).
func (f *found) argoTemplate(spec map[string]any, specAt string, template map[string]any, at, name, namespace string) {
	w := &workload{name: name, namespace: namespace, system: inject.SystemArgo, pod: map[string]any{},
		labels: at + "/metadata/labels", annotations: at + "/metadata/annotations", origins: []origin{{"", at}}}
	metadata := map[string]any{}
	for _, field := range []string{"labels", "annotations"} {
		merged := map[string]any{}
		for _, from := range []map[string]any{object(spec, "podMetadata", field), object(template, "metadata", field)} {
			for key, value := range from {
				merged[key] = value
			}
		}
		if len(merged) > 0 {
			metadata[field] = merged
		}
	}
	pod := map[string]any{}
	w.pod["metadata"], w.pod["spec"] = metadata, pod
	for _, field := range []string{"tolerations", "nodeSelector", "affinity", "securityContext"} {
		switch {
		case has(template, field):
			pod[field] = clone(template[field])
			w.origins = append(w.origins, origin{"/spec/" + field, at + "/" + field})
		case has(spec, field):
			pod[field] = clone(spec[field])
			w.origins = append(w.origins, origin{"/spec/" + field, specAt + "/" + field})
		}
	}
	w.argoContainers(template, pod, at)
	w.join(pod, "initContainers", "/spec/initContainers", listAt{list(template, "initContainers"), at + "/initContainers"})
	w.join(pod, "volumes", "/spec/volumes",
		listAt{list(spec, "volumes"), specAt + "/volumes"}, listAt{list(template, "volumes"), at + "/volumes"})
	w.mountedOnly(pod)
	w.argoPatch("the workflow's podSpecPatch", text(spec, podSpecPatch), specAt+pointer(podSpecPatch))
	w.argoPatch("the template's podSpecPatch", text(template, podSpecPatch), at+pointer(podSpecPatch))
	f.workloads = append(f.workloads, w)
}

// argoPatch applies a patch, unless Argo has yet to fill it in.
func (w *workload) argoPatch(called, patch, at string) {
	switch {
	case !strings.Contains(patch, "{{"):
		if patch != "" {
			w.applyPatch(podPatch{called, patchStrategic, patch, at})
		}
	case wiringInText.MatchString(patch):
		w.unread = append(w.unread, called+" names Dagger's engine, and is not edited, since Argo fills it in ({{...}}) for each pod: "+
			"remove that part of it")
	}
}

// wiringInText matches wiring in texts that are not read as a pod's.
var wiringInText = regexp.MustCompile(regexp.QuoteMeta(inject.EnvRunnerHost) + `|/run/dagger`)

func (w *workload) argoContainers(template, pod map[string]any, at string) {
	var containers []any
	add := func(v any, name, source string) {
		own, _ := clone(v).(map[string]any)
		if own == nil {
			return
		}
		if name != "" {
			own["name"] = name
		}
		scriptToArgs(own, "source")
		w.origins = append(w.origins, origin{pointer("spec", "containers", strconv.Itoa(len(containers))), source})
		containers = append(containers, own)
	}
	add(template["container"], "main", at+"/container")
	add(template["script"], "main", at+"/script")
	for i, c := range list(template, "containerSet", "containers") {
		add(c, "", at+pointer("containerSet", "containers", strconv.Itoa(i)))
	}
	for i, c := range list(template, "sidecars") {
		add(c, "", at+pointer("sidecars", strconv.Itoa(i)))
	}
	pod["containers"] = containers
}

// mountedOnly leaves out volumes of the workflow that this template's pods do not mount, as Argo does.
func (w *workload) mountedOnly(pod map[string]any) {
	mounted := map[string]bool{}
	for _, field := range []string{"containers", "initContainers"} {
		for _, c := range list(pod, field) {
			for _, m := range list(c, "volumeMounts") {
				mounted[text(m, "name")] = true
			}
		}
	}
	var kept []any
	var origins []origin
	for _, o := range w.origins {
		parts := names(o.pod)
		if len(parts) != 3 || parts[1] != "volumes" {
			origins = append(origins, o)
			continue
		}
		volume := get(w.pod, parts...)
		if mounted[text(volume, "name")] {
			origins = append(origins, origin{pointer("spec", "volumes", strconv.Itoa(len(kept))), o.source})
			kept = append(kept, volume)
		}
	}
	w.origins = origins
	if delete(pod, "volumes"); len(kept) > 0 {
		pod["volumes"] = kept
	}
}
