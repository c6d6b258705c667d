package explain

import (
	"slices"

	"github.com/dagger-inject/dagger-inject/inject"
)

// without takes out of a pod what injection is recognised to have added, so that it can be decided on anew: what the pod's
// status annotation names, the mounts and variables that go with it, and the annotation itself. Tolerations, node selection,
// the group, SELinux options, the wait's pull secret and the policy's own variables cannot be told from the pod's own and stay. It
// changes the pod, a v1 Pod as encoding/json decodes one.
func without(pod map[string]any, status *inject.Status) {
	metadata, _ := pod["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	delete(annotations, inject.AnnotationStatus)
	// Injection names its own volume there, where the pod has no such annotation.
	if volume, _ := annotations[inject.AnnotationSafeToEvict].(string); slices.Contains(status.Volumes, volume) {
		delete(annotations, inject.AnnotationSafeToEvict)
	}
	spec, _ := pod["spec"].(map[string]any)
	if spec == nil {
		return
	}
	named := func(names []string) func(any) bool {
		return func(element any) bool {
			name, _ := field(element, "name").(string)
			return slices.Contains(names, name)
		}
	}
	remove(spec, "volumes", named(status.Volumes))
	remove(spec, "initContainers", named(status.InitContainers))
	containers, _ := spec["containers"].([]any)
	for _, c := range containers {
		container, _ := c.(map[string]any)
		if !named(status.Containers)(c) {
			continue
		}
		remove(container, "volumeMounts", named(status.Volumes))
		remove(container, "env", named([]string{inject.EnvRunnerHost, inject.EnvNodeIP, inject.EnvCLIBin}))
	}
}

func field(of any, name string) any {
	object, _ := of.(map[string]any)
	return object[name]
}

// remove drops elements of a list, and the list where nothing is left of it.
func remove(from map[string]any, name string, drop func(any) bool) {
	list, _ := from[name].([]any)
	if list == nil {
		return
	}
	if list = slices.DeleteFunc(slices.Clone(list), drop); len(list) == 0 {
		delete(from, name)
		return
	}
	from[name] = list
}
