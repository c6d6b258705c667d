package explain

import (
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
)

// without removes from a pod what injection has added, as far as it can be recognised, so that a new decision can be made:
// what the pod's status annotation names, the mounts and variables that belong to it, preferences of nodes by their names,
// and the annotation itself. Tolerations, other node selection, the group, SELinux options, the wait's pull secret and the
// policy's variables stay, because they cannot be told from the pod's own. It changes the pod, which must be a v1 Pod as
// encoding/json decodes it.
func without(pod map[string]any, status *inject.Status) {
	metadata, _ := pod["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	delete(annotations, inject.AnnotationStatus)
	// Injection names its own volumes there if the pod has no such annotation.
	volumes, _ := annotations[inject.AnnotationSafeToEvict].(string)
	theirs := func(volume string) bool { return !slices.Contains(status.Volumes, volume) }
	if volumes != "" && !slices.ContainsFunc(strings.Split(volumes, ","), theirs) {
		delete(annotations, inject.AnnotationSafeToEvict)
	}
	variables := []string{inject.EnvRunnerHost, inject.EnvNodeIP, inject.EnvCLIBin}
	if status.HookTemplate != "" {
		delete(annotations, inject.AnnotationHookTemplate)
		variables = append(variables, inject.EnvHookTemplate)
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
	if c := status.CacheAffinity; c != nil && c.Nodes > 0 {
		withoutNodes(spec)
	}
	containers, _ := spec["containers"].([]any)
	for _, c := range containers {
		container, _ := c.(map[string]any)
		if !named(status.Containers)(c) {
			continue
		}
		remove(container, "volumeMounts", named(status.Volumes))
		remove(container, "env", named(variables))
	}
}

// withoutNodes removes the preferences of nodes by their names.
func withoutNodes(spec map[string]any) {
	affinity, _ := spec["affinity"].(map[string]any)
	nodes, _ := affinity["nodeAffinity"].(map[string]any)
	remove(nodes, "preferredDuringSchedulingIgnoredDuringExecution", func(element any) bool {
		object, _ := element.(map[string]any)
		term, err := parse(object)
		if err != nil {
			return false
		}
		node, _ := inject.NamedNode(term)
		return node != ""
	})
	if len(nodes) == 0 {
		delete(affinity, "nodeAffinity")
	}
	if len(affinity) == 0 {
		delete(spec, "affinity")
	}
}

func field(of any, name string) any {
	object, _ := of.(map[string]any)
	return object[name]
}

// remove removes elements from a list, and the list itself if nothing is left.
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
