package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// bare is the pod that the typed defaulter learns the additions from: all that it has afterwards was added.
const bare = `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"dagger.io/inject":"true"}},
	"spec":{"containers":[{"name":"job","image":"job"}]}}`

// defaulter injects the way most webhooks are written: on a decoded pod, of which controller-runtime makes a patch by
// encoding it again and comparing. It adds what the policy adds to a bare pod, so that the two stay equivalent whatever the
// policy comes to add. Its decisions are simpler than ours, in its favour.
type defaulter struct {
	added corev1.Pod
	// status is encoded for each pod, as ours is.
	status inject.Status
}

func newTyped(policies *inject.Policies) (http.Handler, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	var doc rawjson.Document
	pod, err := doc.Parse(bare)
	if err != nil {
		return nil, err
	}
	plan := inject.Decide(inject.Input{Pod: pod, Entry: inject.EntryPod, Policies: policies, Version: version})
	injected, err := patch.Apply([]byte(bare), plan.Operations)
	if err != nil {
		return nil, err
	}
	d := &defaulter{}
	if err := json.Unmarshal(injected, &d.added); err != nil {
		return nil, err
	}
	if plan.Status == nil {
		return nil, fmt.Errorf("the policy does not inject a bare pod: %s", plan.Message())
	}
	d.status = *plan.Status
	return admission.WithDefaulter(scheme, d), nil
}

// Default injects a runner's pod.
func (d *defaulter) Default(_ context.Context, pod *corev1.Pod) error {
	asked, set := pod.Labels[inject.LabelInject]
	if !set {
		asked = namespaceLabels[inject.LabelInject]
	}
	target := jobContainer(pod)
	if asked != "true" || target == nil {
		return nil
	}
	added := d.added.DeepCopy()
	d.addToContainer(target, &added.Spec.Containers[0])
	spec := &pod.Spec
	spec.InitContainers = append(added.Spec.InitContainers, spec.InitContainers...)
	spec.Volumes = append(spec.Volumes, added.Spec.Volumes...)
	spec.Tolerations = append(spec.Tolerations, added.Spec.Tolerations...)
	if added.Spec.SecurityContext != nil {
		if spec.SecurityContext == nil {
			spec.SecurityContext = &corev1.PodSecurityContext{}
		}
		spec.SecurityContext.SupplementalGroups = append(spec.SecurityContext.SupplementalGroups,
			added.Spec.SecurityContext.SupplementalGroups...)
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	for name, value := range added.Annotations {
		pod.Annotations[name] = value
	}
	status := d.status
	status.Containers = []string{target.Name}
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	pod.Annotations[inject.AnnotationStatus] = string(text)
	return nil
}

// jobContainer returns the container that a runner's jobs run in.
func jobContainer(pod *corev1.Pod) *corev1.Container {
	name := "build"
	if _, arc := pod.Labels["actions-ephemeral-runner"]; arc {
		name = "runner"
	} else if _, gitlab := pod.Annotations["job.runner.gitlab.com/id"]; !gitlab {
		return nil
	}
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return &pod.Spec.Containers[i]
		}
	}
	return nil
}

// addToContainer adds what the container does not have. Where it mounts something at /var/run, which would hide a mount
// at /run, both the mount and the variables go below that, as ours do.
func (d *defaulter) addToContainer(target, added *corev1.Container) {
	const short, deep = "/run/", "/var/run/"
	hidden := false
	for _, mount := range target.VolumeMounts {
		hidden = hidden || mount.MountPath == strings.TrimSuffix(deep, "/")
	}
	for _, mount := range added.VolumeMounts {
		if rest, ok := strings.CutPrefix(mount.MountPath, short); ok && hidden {
			mount.MountPath = deep + rest
		}
		target.VolumeMounts = append(target.VolumeMounts, mount)
	}
	have := map[string]bool{}
	for _, e := range target.Env {
		have[e.Name] = true
	}
	for _, e := range added.Env {
		if rest, ok := strings.CutPrefix(e.Value, "unix://"+short); ok && hidden {
			e.Value = "unix://" + deep + rest
		}
		if !have[e.Name] {
			target.Env = append(target.Env, e)
		}
	}
}
