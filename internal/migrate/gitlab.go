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
	for i, e := range list(runner, "environment") {
		s, _ := e.(string)
		name, value, _ := strings.Cut(s, "=")
		env := pointer("spec", "containers", "0", "env", strconv.Itoa(len(list(build, "env"))))
		w.origins = append(w.origins, origin{env, at + pointer("environment", strconv.Itoa(i))})
		appendTo(build, "env", map[string]any{"name": name, "value": value})
	}
	w.gitlabVolumes(kubernetes, spec, []map[string]any{build, helper}, at+"/kubernetes/volumes")
	w.gitlabPlacement(kubernetes, spec, at+"/kubernetes")
	for i, p := range list(kubernetes, "pod_spec") {
		w.gitlabPatch(p, spec, at+pointer("kubernetes", "pod_spec", strconv.Itoa(i)))
	}
}

func (w *workload) gitlabVolumes(kubernetes, spec map[string]any, containers []map[string]any, at string) {
	kinds := object(kubernetes, "volumes")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for i, v := range list(kinds, kind) {
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
			default:
				continue
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

// gitlabPatch applies a patch of the pod's spec, as far as it can have wiring.
func (w *workload) gitlabPatch(p any, spec map[string]any, at string) {
	patch := text(p, "patch")
	documents, err := parseYAML([]byte(patch))
	kind := cmp.Or(text(p, "patch_type"), "strategic")
	if err != nil || len(documents) != 1 || kind != "strategic" {
		if wiringInText.MatchString(patch) {
			w.unread = append(w.unread, "a pod_spec of the patch type "+kind+" names Dagger's engine, and is not edited: remove that part of it")
		}
		return
	}
	changes, _ := documents[0].content.(map[string]any)
	at += "/patch"
	for _, field := range []string{"initContainers", "volumes", "tolerations"} {
		w.extend(spec, field, "/spec/"+field, list(changes, field), at+"/"+field)
	}
	for i, c := range list(changes, "containers") {
		own := slices.IndexFunc(list(spec, "containers"), func(have any) bool { return text(have, "name") == text(c, "name") })
		source := at + pointer("containers", strconv.Itoa(i))
		if own < 0 {
			w.extend(spec, "containers", "/spec/containers", []any{c}, at+"/containers")
			continue
		}
		container, _ := list(spec, "containers")[own].(map[string]any)
		for _, field := range []string{"env", "volumeMounts"} {
			w.extend(container, field, pointer("spec", "containers", strconv.Itoa(own), field), list(c, field), source+"/"+field)
		}
	}
}

// extend appends to a list of the pod what another has.
func (w *workload) extend(of map[string]any, name, at string, more []any, source string) {
	for i, element := range more {
		w.origins = append(w.origins, origin{at + pointer(strconv.Itoa(len(list(of, name)))), source + pointer(strconv.Itoa(i))})
		appendTo(of, name, clone(element))
	}
}
