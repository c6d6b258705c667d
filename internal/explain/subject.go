package explain

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// Object explains what would happen to a pod, or to the pods of a workload, on creation in a namespace. The second result is
// false if the object has no pod template.
func (e *Explainer) Object(ctx context.Context, object rawjson.Value, kind, namespace string) (*Explanation, bool) {
	template, found := inject.FindTemplate(object, kind)
	if !found {
		return nil, false
	}
	metadata := object.Get("metadata")
	name, _ := metadata.Get("name").Str()
	prefix, _ := metadata.Get("generateName").Str()
	s := subject{name: fmt.Sprintf("%s %s/%s", kind, namespace, cmp.Or(name, prefix+"*")), namespace: namespace, template: template}
	if kind != "Pod" {
		s.judged = "its pod template"
	}
	return e.explain(ctx, s), true
}

// Pod explains what would happen to an existing pod if it were created now.
func (e *Explainer) Pod(ctx context.Context, namespace, name string) (*Explanation, error) {
	var pod unstructured.Unstructured
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	if err := e.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &pod); err != nil {
		return nil, fmt.Errorf("reading the pod %s/%s: %w", namespace, name, err)
	}
	s := subject{
		name: fmt.Sprintf("Pod %s/%s", namespace, name), namespace: namespace,
		recorded: pod.GetAnnotations()[inject.AnnotationStatus], exists: true,
	}
	s.node, _, _ = unstructured.NestedString(pod.Object, "spec", "nodeName")
	template, judged, err := e.template(ctx, &pod)
	if err != nil {
		return nil, err
	}
	s.template, s.judged = template, judged
	return e.explain(ctx, s), nil
}

// template reconstructs the pod that its creator sent, as well as possible, and says from what. A controller's template has
// the spec, but lacks some of the labels by which pods are recognised: those come from the pod.
func (e *Explainer) template(ctx context.Context, pod *unstructured.Unstructured) (inject.Template, string, error) {
	var status inject.Status
	// Anyone can write the annotation. A wrong name in it only spoils this explanation.
	_ = json.Unmarshal([]byte(pod.GetAnnotations()[inject.AnnotationStatus]), &status)
	own := pod.DeepCopy()
	without(own.Object, &status)
	unstructured.RemoveNestedField(own.Object, "spec", "nodeName") // set by the scheduler, after the creation
	unstructured.RemoveNestedField(own.Object, "metadata", "managedFields")
	judged := "the pod itself, less what injection is recognised to have added, and not scheduled yet"
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		t, err := parsePod(own.Object)
		return t, judged + " (no controller owns it)", err
	}
	name := fmt.Sprintf("%s %s/%s", owner.Kind, pod.GetNamespace(), owner.Name)
	spec, err := e.ownersSpec(ctx, pod.GetNamespace(), owner)
	switch {
	case err != nil:
		judged += fmt.Sprintf(" (its owner %s cannot be read: %v)", name, err)
	case spec == nil:
		judged += fmt.Sprintf(" (its owner %s has no pod template)", name)
	default:
		own.Object["spec"] = spec
		judged = "the pod template of its owner " + name + ", with the pod's own labels and annotations"
	}
	t, err := parsePod(own.Object)
	return t, judged, err
}

// ownersSpec returns the pod spec in an owner's template, or nil if the owner has no pod template.
func (e *Explainer) ownersSpec(ctx context.Context, namespace string, owner *metav1.OwnerReference) (any, error) {
	var object unstructured.Unstructured
	object.SetAPIVersion(owner.APIVersion)
	object.SetKind(owner.Kind)
	if err := e.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: owner.Name}, &object); err != nil {
		return nil, err
	}
	if object.GetUID() != owner.UID {
		return nil, fmt.Errorf("another object of that name has taken its place")
	}
	root, err := parse(object.Object)
	if err != nil {
		return nil, err
	}
	t, found := inject.FindTemplate(root, owner.Kind)
	if !found || t.RunnerSpec || owner.Kind == "Pod" {
		return nil, nil
	}
	var template struct{ Spec map[string]any }
	if err := json.Unmarshal([]byte(t.Pod.Text()), &template); err != nil || template.Spec == nil {
		return nil, err
	}
	return template.Spec, nil
}

func parse(object map[string]any) (rawjson.Value, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return rawjson.Value{}, err
	}
	// The values point into this Document, into which nothing else is parsed.
	return new(rawjson.Document).Parse(string(text))
}

func parsePod(object map[string]any) (inject.Template, error) {
	pod, err := parse(object)
	return inject.Template{Pod: pod}, err
}

// runner returns a typical CI job's pod, a runner of ARC.
func runner(namespace, name string, labels map[string]string) (inject.Template, error) {
	all := map[string]string{"actions-ephemeral-runner": "True"}
	for key, value := range labels {
		all[key] = value
	}
	pod := corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: all},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "runner", Image: "runner"}}},
	}
	text, err := json.Marshal(pod)
	if err != nil {
		return inject.Template{}, err
	}
	root, err := new(rawjson.Document).Parse(string(text))
	return inject.Template{Pod: root}, err
}
