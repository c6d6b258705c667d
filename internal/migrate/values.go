package migrate

import (
	"maps"
	"slices"
	"strconv"

	"github.com/dagger-inject/dagger-inject/inject"
)

// values looks for values of the gha-runner-scale-set chart: the whole of a values file, below a subchart's name, or in an
// object that has values in it, such as Flux' HelmRelease and Argo CD's Application. It also looks for specs of Buildkite's pods.
func (f *found) values(v any, at, namespace string) {
	switch v := v.(type) {
	case map[string]any:
		if has(v, "githubConfigUrl") && has(v, "template", "spec", "containers") {
			f.scaleSet(v, at, namespace)
			return
		}
		for _, b := range buildkiteFields {
			f.buildkite(v, b[0], b[1], at, namespace)
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			f.values(v[name], at+pointer(name), namespace)
		}
	case []any:
		for i, element := range v {
			f.values(element, at+pointer(strconv.Itoa(i)), namespace)
		}
	}
}

// scaleSet makes the pod that the gha-runner-scale-set chart and ARC make from its values.
func (f *found) scaleSet(v map[string]any, at, namespace string) {
	name := text(v, "runnerScaleSetName")
	if name == "" {
		name = text(v, "githubConfigUrl")
	}
	w := &workload{
		name: "values of gha-runner-scale-set " + name, namespace: namespace, system: inject.SystemARC,
		pod:     clone(v["template"]).(map[string]any),
		origins: []origin{{"", at + "/template"}},
		labels:  at + "/template/metadata/labels", annotations: at + "/template/metadata/annotations",
	}
	w.addContainerMode(text(v, "containerMode", "type"))
	f.workloads = append(f.workloads, w)
}

// addContainerMode adds what the chart adds to the runner's template for a mode and decisions depend on (gha-runner-scale-set
// 0.14.2, templates/_helpers.tpl).
func (w *workload) addContainerMode(mode string) {
	spec := member(w.pod, "spec")
	for _, c := range list(spec, "containers") {
		runner, _ := c.(map[string]any)
		if text(runner, "name") != "runner" {
			continue
		}
		switch mode {
		case "dind":
			mount := map[string]any{"name": "dind-sock", "mountPath": "/var/run"}
			appendTo(runner, "volumeMounts", mount)
			appendTo(spec, "volumes", map[string]any{"name": "dind-sock", "emptyDir": map[string]any{}})
			appendTo(spec, "initContainers", map[string]any{
				"name": "dind", "image": "docker:dind", "restartPolicy": "Always",
				"securityContext": map[string]any{"privileged": true}, "volumeMounts": []any{mount},
			})
		case "kubernetes", "kubernetes-novolume":
			appendTo(runner, "env", map[string]any{"name": "ACTIONS_RUNNER_CONTAINER_HOOKS", "value": "/home/runner/k8s/index.js"})
		}
		return
	}
}
