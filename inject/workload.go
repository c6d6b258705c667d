package inject

import (
	"strings"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Template is a pod, or the pod template of a workload.
type Template struct {
	// Pod is the pod or its template: an object with metadata and spec.
	Pod rawjson.Value
	// Pointer is where Pod lies in the object (RFC 6901); empty for a Pod.
	Pointer string
	// System is what the workload's controller will mark its pods as.
	System System
	// RunnerSpec is true where Pod's spec is the RunnerSpec of legacy ARC, from which the controller makes the runner
	// container: from fields of the spec itself, or from a container named runner and the spec's variables.
	RunnerSpec bool
}

// templatePlaces is where objects have their pod template, by kind, where it is not at spec.template.
var templatePlaces = map[string][]string{
	"Pod":         {},
	"PodTemplate": {"template"},
	"CronJob":     {"spec", "jobTemplate", "spec", "template"},
}

// runnerKind is a kind of a runner controller's.
type runnerKind struct {
	system     System
	place      []string
	runnerSpec bool // the template's spec is a RunnerSpec
}

// runnerKinds are those of ARC, by group and kind: other projects have a Runner too.
var runnerKinds = map[string]runnerKind{
	"actions.github.com/AutoscalingRunnerSet": {SystemARC, []string{"spec", "template"}, false},
	"actions.github.com/EphemeralRunnerSet":   {SystemARC, []string{"spec", "ephemeralRunnerSpec"}, false},
	"actions.github.com/EphemeralRunner":      {SystemARC, []string{"spec"}, false}, // its spec inlines a PodTemplateSpec
	"actions.summerwind.dev/RunnerSet":        {SystemARCLegacy, []string{"spec", "template"}, false},
	"actions.summerwind.dev/RunnerDeployment": {SystemARCLegacy, []string{"spec", "template"}, true},
	"actions.summerwind.dev/RunnerReplicaSet": {SystemARCLegacy, []string{"spec", "template"}, true},
	"actions.summerwind.dev/Runner":           {SystemARCLegacy, []string{}, true},
}

// FindTemplate finds the pod template in an object of a kind by its place; false where the object has none.
func FindTemplate(object rawjson.Value, kind string) (Template, bool) {
	apiVersion, _ := object.Get("apiVersion").Str()
	group, _, _ := strings.Cut(apiVersion, "/")
	runner, isRunner := runnerKinds[group+"/"+kind]
	place, known := templatePlaces[kind]
	switch {
	case isRunner:
		place = runner.place
	case !known:
		place = []string{"spec", "template"}
	}
	t := Template{Pod: object, System: runner.system, RunnerSpec: runner.runnerSpec}
	for _, name := range place {
		t.Pod = t.Pod.Get(name)
		t.Pointer += "/" + name
	}
	return t, kind == "Pod" || isRunner && t.Pod.IsSet() || t.Pod.Get("spec").Get("containers").IsSet()
}
