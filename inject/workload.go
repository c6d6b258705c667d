package inject

import "github.com/dagger-inject/dagger-inject/inject/rawjson"

// Template is a pod, or the pod template of a workload.
type Template struct {
	// Pod is the pod or its template: an object with metadata and spec.
	Pod rawjson.Value
	// Pointer is where Pod lies in the object (RFC 6901); empty for a Pod.
	Pointer string
	// System is what the workload's controller will mark its pods as.
	System System
	// RunnerSpec is true where Pod's spec is the RunnerSpec of legacy ARC and lists no containers: the controller makes the
	// runner container from fields of the spec itself.
	RunnerSpec bool
}

// templatePlaces is where workloads have their pod template, by kind, where it is not at spec.template.
var templatePlaces = map[string][]string{
	"Pod":                {},
	"PodTemplate":        {"template"},
	"CronJob":            {"spec", "jobTemplate", "spec", "template"},
	"EphemeralRunner":    {"spec"}, // its spec inlines a PodTemplateSpec
	"EphemeralRunnerSet": {"spec", "ephemeralRunnerSpec"},
	"Runner":             {},
}

// templateSystems is what the runner controllers mark the pods of their workloads as.
var templateSystems = map[string]System{
	"AutoscalingRunnerSet": SystemARC,
	"EphemeralRunnerSet":   SystemARC,
	"EphemeralRunner":      SystemARC,
	"RunnerDeployment":     SystemARCLegacy,
	"RunnerReplicaSet":     SystemARCLegacy,
	"RunnerSet":            SystemARCLegacy,
	"Runner":               SystemARCLegacy,
}

// FindTemplate finds the pod template in an object by its place; false where the object has none.
func FindTemplate(object rawjson.Value) (Template, bool) {
	kind, _ := object.Get("kind").Str()
	place, known := templatePlaces[kind]
	if !known {
		place = []string{"spec", "template"}
	}
	t := Template{Pod: object, System: templateSystems[kind]}
	for _, name := range place {
		t.Pod = t.Pod.Get(name)
		t.Pointer += "/" + name
	}
	spec := t.Pod.Get("spec")
	if t.System == SystemARCLegacy && kind != "RunnerSet" && spec.Get("containers").Len() == 0 {
		t.RunnerSpec = true
	}
	_, isSystem := templateSystems[kind]
	return t, kind == "Pod" || isSystem && t.Pod.IsSet() || spec.Get("containers").IsSet()
}
