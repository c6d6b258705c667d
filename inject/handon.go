package inject

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// AnnotationHookTemplate is the template by which an ARC runner hands its opting in on to the pods in which it runs its jobs.
	AnnotationHookTemplate = "dagger.io/hook-template"
	// EnvHookTemplate names the file that the container hooks merge into those pods (actions/runner-container-hooks, from v0.4.0 on;
	// earlier ones ignore it).
	EnvHookTemplate = "ACTIONS_RUNNER_CONTAINER_HOOK_TEMPLATE"
	envHooks        = "ACTIONS_RUNNER_CONTAINER_HOOKS"

	volumeHook    = "dagger-inject-hook"
	hookMountPath = config.OwnFolder + "/hook"
	hookFile      = "template.json"
)

// The volume and the mount at its usual path. Both have only fields of Kubernetes 0.26: see initContainer.
var (
	hookVolume = mustMarshal(corev1.Volume{Name: volumeHook, VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		Items: []corev1.DownwardAPIVolumeFile{{
			Path: hookFile, FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" + AnnotationHookTemplate + "']"},
		}},
	}}})
	hookMount = newHookMount(hookMountPath)
)

func newHookMount(at string) json.RawMessage {
	return mustMarshal(corev1.VolumeMount{Name: volumeHook, MountPath: at, ReadOnly: true})
}

// handOn points the hooks of a runner to a template, unless the user names one. Workflow pods and those of container actions then
// ask by their own label, with the value optional: a hook never tries again, and a refusal would cost the job.
func (i *injection) handOn(c *container, at, env *patch.Cursor) {
	if !i.policy.handOn || i.system != SystemARC && i.system != SystemARCLegacy || !c.env(envHooks).IsSet() {
		return
	}
	if c.raw.Get("envFrom").Len() > 0 {
		return // it may bring the user's own, which a variable of ours would hide
	}
	if _, set := i.policy.envNamed(EnvHookTemplate); set {
		return
	}
	where := i.pod.place(c, volumeHook, hookMountPath, "hook")
	file := where.at + "/" + hookFile
	own := c.env(EnvHookTemplate)
	if named, _ := own.Get("value").Str(); own.IsSet() && named != file || !i.mayWriteHookTemplate() {
		return
	}
	i.status.HookTemplate = file
	if !own.IsSet() {
		env.Append(envJSON(EnvHookTemplate, file))
	}
	if where.mounted {
		return
	}
	mount := hookMount
	if where.at != hookMountPath {
		mount = newHookMount(where.at)
	}
	at.Member("volumeMounts").Append(mount)
}

// mayWriteHookTemplate reports whether the annotation can have the template: a hook fails its job over a file that is empty, or that
// somebody wrote for something else. It is worked out once for all containers: a pod may have many, and many annotations.
func (i *injection) mayWriteHookTemplate() bool {
	if i.hook == nil {
		i.hook = &hook{}
		if room := maxAnnotations - len(i.pod.annotations.Text()); room > 0 {
			have, set := i.pod.annotation(AnnotationHookTemplate)
			i.hook.template = string(i.hookTemplate())
			i.hook.may = set && have == i.hook.template || !set && len(i.hook.template) <= room
		}
	}
	return i.hook.may
}

// hook is the template that a pod hands on, and whether it may.
type hook struct {
	template string
	may      bool
}

// addHookTemplate adds the template as an annotation, and the volume that shows it as a file.
func (i *injection) addHookTemplate(volumes, annotations *patch.Cursor) *obstacle {
	if _, set := i.pod.annotation(AnnotationHookTemplate); !set {
		annotations.Member(AnnotationHookTemplate).Set(patch.String(i.hook.template))
	}
	return i.addVolume(volumes, volumeHook, hookVolume, func(v rawjson.Value) bool { return v.Get("downwardAPI").IsSet() })
}

// hookTemplate has metadata alone: a hook wants an object that is not empty, and merges a spec only where there is one. What the
// runner's pod chose holds for its jobs' pods; its containers are others.
func (i *injection) hookTemplate() json.RawMessage {
	var template struct {
		Metadata struct {
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations,omitempty"`
		} `json:"metadata"`
	}
	template.Metadata.Labels = map[string]string{LabelInject: InjectOptional}
	for _, name := range [...]string{AnnotationPolicy, AnnotationEngine, AnnotationTransport, AnnotationCLI, AnnotationWait,
		AnnotationContainers} {
		value, set := i.pod.annotation(name)
		if !set || name == AnnotationContainers && !slices.Contains(splitNames(value), "job") {
			continue
		}
		if template.Metadata.Annotations == nil {
			template.Metadata.Annotations = map[string]string{}
		}
		template.Metadata.Annotations[name] = value
	}
	return mustMarshal(template)
}
