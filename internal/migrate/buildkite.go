package migrate

import (
	"github.com/dagger-inject/dagger-inject/inject"
)

// buildkite makes the pods of Buildkite's agent-stack-k8s from the kubernetes plugin of a pipeline's step, or from the
// controller's configuration. A patch has only a part of the pod; what it does not have is not wired by it.
func (f *found) buildkite(v map[string]any, field, metadata, at, namespace string) {
	if !has(v, field, "containers") {
		return
	}
	w := &workload{
		name: "Buildkite's " + field, namespace: namespace, system: inject.SystemBuildkite,
		pod:     map[string]any{"spec": clone(v[field])},
		origins: []origin{{"/spec", at + pointer(field)}, {"/metadata", at + pointer(metadata)}},
		labels:  at + pointer(metadata, "labels"), annotations: at + pointer(metadata, "annotations"),
	}
	if m := object(v, metadata); m != nil {
		w.pod["metadata"] = clone(m)
	}
	for _, c := range list(w.pod, "spec", "containers") {
		container, _ := c.(map[string]any)
		if name := text(container, "name"); container == nil || name == "agent" || name == "checkout" {
			continue
		}
		// The controller sets the command of the step, by which its containers are recognised.
		appendTo(container, "env", map[string]any{"name": "BUILDKITE_COMMAND", "value": "true"})
		if text(container, "name") == "" {
			container["name"] = "container-0"
		}
	}
	f.workloads = append(f.workloads, w)
}

// buildkiteFields are where specs of pods stand, with where the metadata beside them does.
var buildkiteFields = [][2]string{{"podSpecPatch", "metadata"}, {"podSpec", "metadata"}, {"pod-spec-patch", "default-metadata"}}
