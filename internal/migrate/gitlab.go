package migrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
)

// gitlab looks for the runners of a config.toml whose executor makes pods.
func gitlab(root map[string]any, namespace string) found {
	var f found
	for i, r := range list(root, "runners") {
		runner, _ := r.(map[string]any)
		name := fmt.Sprintf("GitLab runner %s", cmp.Or(text(runner, "name"), strconv.Itoa(i+1)))
		kubernetes := object(runner, "kubernetes")
		if executor := text(runner, "executor"); executor != "" && executor != "kubernetes" || kubernetes == nil {
			f.others = append(f.others, name+" (executor "+cmp.Or(text(runner, "executor"), "unknown")+")")
			continue
		}
		at := pointer("runners", strconv.Itoa(i))
		own := text(kubernetes, "namespace")
		if strings.Contains(own, "{{") {
			own = "" // of the release that the chart evaluates it in
		}
		w := &workload{
			name: name, namespace: cmp.Or(own, namespace, "default"), system: inject.SystemGitLab,
			labels: at + "/kubernetes/pod_labels", annotations: at + "/kubernetes/pod_annotations",
			origins: []origin{{"", at + "/kubernetes"}},
		}
		w.makeGitLabPod(runner, kubernetes, at)
		f.workloads = append(f.workloads, w)
	}
	return f
}

// makeGitLabPod makes the pod of a job (gitlab-runner 19.4, executors/kubernetes): volumes are mounted in all containers, and the
// environment is the build's.
func (w *workload) makeGitLabPod(runner, kubernetes map[string]any, at string) {
	build := map[string]any{"name": "build", "image": cmp.Or(text(kubernetes, "image"), "the job's")}
	helper := map[string]any{"name": "helper", "image": cmp.Or(text(kubernetes, "helper_image"), "gitlab-runner-helper")}
	spec := map[string]any{"containers": []any{build, helper}}
	metadata := map[string]any{}
	w.pod = map[string]any{"metadata": metadata, "spec": spec}
	for name, field := range map[string]string{"labels": "pod_labels", "annotations": "pod_annotations"} {
		if m := object(kubernetes, field); m != nil {
			metadata[name] = clone(m)
		}
	}
	containers := []map[string]any{build, helper}
	for _, c := range containers {
		gitlabOwn(c)
	}
	for i, e := range list(runner, "environment") {
		s, _ := e.(string)
		name, value, _ := strings.Cut(s, "=")
		env := pointer("spec", "containers", "0", "env", strconv.Itoa(len(list(build, "env"))))
		w.origins = append(w.origins, origin{env, at + pointer("environment", strconv.Itoa(i))})
		appendTo(build, "env", map[string]any{"name": name, "value": value})
	}
	w.gitlabVolumes(kubernetes, spec, containers, at+"/kubernetes/volumes")
	for _, name := range gitlabVolumes {
		appendTo(spec, "volumes", map[string]any{"name": name, "emptyDir": map[string]any{}})
	}
	w.gitlabPlacement(kubernetes, spec, at+"/kubernetes")
	for i, p := range list(kubernetes, "pod_spec") {
		w.gitlabPatch(p, at+pointer("kubernetes", "pod_spec", strconv.Itoa(i)))
	}
}

func (w *workload) gitlabVolumes(kubernetes, spec map[string]any, containers []map[string]any, at string) {
	for _, kind := range []string{"host_path", "secret", "pvc", "config_map", "empty_dir"} {
		for i, v := range list(kubernetes, "volumes", kind) {
			source := at + pointer(kind, strconv.Itoa(i))
			volume := map[string]any{"name": text(v, "name")}
			switch kind {
			case "host_path":
				volume["hostPath"] = map[string]any{"path": cmp.Or(text(v, "host_path"), text(v, "mount_path"))}
			case "empty_dir":
				volume["emptyDir"] = map[string]any{}
			case "secret":
				volume["secret"] = map[string]any{"secretName": text(v, "name")}
			case "config_map":
				volume["configMap"] = map[string]any{"name": text(v, "name")}
			case "pvc":
				volume["persistentVolumeClaim"] = map[string]any{"claimName": text(v, "name")}
			}
			readOnly, _ := get(v, "read_only").(bool)
			mount := map[string]any{"name": text(v, "name"), "mountPath": text(v, "mount_path"), "readOnly": readOnly}
			if sub := text(v, "sub_path"); sub != "" {
				mount["subPath"] = sub
			}
			w.origins = append(w.origins, origin{pointer("spec", "volumes", strconv.Itoa(len(list(spec, "volumes")))), source})
			appendTo(spec, "volumes", volume)
			for n, c := range containers {
				w.origins = append(w.origins,
					origin{pointer("spec", "containers", strconv.Itoa(n), "volumeMounts", strconv.Itoa(len(list(c, "volumeMounts")))), source})
				appendTo(c, "volumeMounts", mount)
			}
		}
	}
}

func (w *workload) gitlabPlacement(kubernetes, spec map[string]any, at string) {
	tolerations := object(kubernetes, "node_tolerations")
	for i, key := range slices.Sorted(maps.Keys(tolerations)) {
		t := map[string]any{"key": key, "operator": "Exists", "effect": tolerations[key]}
		if name, value, equal := strings.Cut(key, "="); equal {
			t["key"], t["operator"], t["value"] = name, "Equal", value
		}
		w.origins = append(w.origins, origin{pointer("spec", "tolerations", strconv.Itoa(i)), at + pointer("node_tolerations", key)})
		appendTo(spec, "tolerations", t)
	}
	if selector := object(kubernetes, "node_selector"); selector != nil {
		spec["nodeSelector"] = clone(selector)
		w.origins = append(w.origins, origin{"/spec/nodeSelector", at + "/node_selector"})
	}
	const required = "required_during_scheduling_ignored_during_execution"
	terms := list(kubernetes, "affinity", "node_affinity", required, "node_selector_terms")
	if len(terms) == 0 {
		return
	}
	in := "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms"
	from := at + pointer("affinity", "node_affinity", required, "node_selector_terms")
	var made []any
	for i, t := range terms {
		term := map[string]any{}
		for theirs, ours := range map[string]string{"match_expressions": "matchExpressions", "match_fields": "matchFields"} {
			if has(t, theirs) {
				term[ours] = clone(get(t, theirs))
				w.origins = append(w.origins, origin{in + pointer(strconv.Itoa(i), ours), from + pointer(strconv.Itoa(i), theirs)})
			}
		}
		made = append(made, term)
	}
	w.origins = append(w.origins, origin{in, from})
	spec["affinity"] = map[string]any{"nodeAffinity": map[string]any{
		"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{"nodeSelectorTerms": made}}}
}

// gitlabVolumes are those that GitLab Runner gives to each pod.
var gitlabVolumes = []string{"repo", "scripts", "logs"}

// gitlabOwn gives a container what GitLab Runner itself puts into the lists that patches add to, count and replace.
func gitlabOwn(container map[string]any) {
	appendTo(container, "env", map[string]any{"name": "CI", "value": "true"})
	for _, name := range gitlabVolumes {
		appendTo(container, "volumeMounts", map[string]any{"name": name, "mountPath": "/" + name})
	}
}

// gitlabPatch applies a patch of the pod's spec.
func (w *workload) gitlabPatch(p any, at string) {
	called := "the pod_spec " + cmp.Or(text(p, "name"), "without a name")
	if file := text(p, "patch_path"); file != "" {
		w.unread = append(w.unread, fmt.Sprintf("%s reads its patch from the runner's file %s, which is not seen here: if it has a part "+
			"in connecting to Dagger's engine, remove that by hand", called, file))
	}
	if patch := text(p, "patch"); patch != "" {
		w.applyPatch(podPatch{called, cmp.Or(text(p, "patch_type"), patchStrategic), patch, at + "/patch"})
	}
}
