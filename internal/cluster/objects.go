// Package cluster reads a live cluster, or manifests that stand for one.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// Objects is a client.Reader of objects in memory. It knows label selectors, and field selectors of a name or a namespace.
type Objects []unstructured.Unstructured

// Get finds an object by its kind, namespace and name, as client.Reader does.
func (o Objects) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	gvk, err := client.GVKForObject(into, Scheme)
	if err != nil {
		return err
	}
	for i := range o {
		object := &o[i]
		if sameKind(object, gvk) && object.GetName() == key.Name && object.GetNamespace() == key.Namespace {
			return convert(object.Object, into)
		}
	}
	resource, _ := meta.UnsafeGuessKindToResource(gvk)
	return apierrors.NewNotFound(resource.GroupResource(), key.Name)
}

// List finds objects by their kind and the options, as client.Reader does.
func (o Objects) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	gvk, err := client.GVKForObject(into, Scheme)
	if err != nil {
		return err
	}
	gvk.Kind = strings.TrimSuffix(gvk.Kind, "List")
	var options client.ListOptions
	options.ApplyOptions(opts)
	items := []any{}
	for i := range o {
		if object := &o[i]; sameKind(object, gvk) && selected(object, &options) {
			items = append(items, object.Object)
		}
	}
	return convert(map[string]any{"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind + "List", "items": items}, into)
}

func sameKind(object *unstructured.Unstructured, gvk schema.GroupVersionKind) bool {
	return object.GetAPIVersion() == gvk.GroupVersion().String() && object.GetKind() == gvk.Kind
}

func selected(object *unstructured.Unstructured, options *client.ListOptions) bool {
	if options.Namespace != "" && options.Namespace != object.GetNamespace() {
		return false
	}
	if options.LabelSelector != nil && !options.LabelSelector.Matches(labels.Set(object.GetLabels())) {
		return false
	}
	return options.FieldSelector == nil || options.FieldSelector.Matches(fields.Set{
		"metadata.name": object.GetName(), "metadata.namespace": object.GetNamespace(),
	})
}

func convert(from map[string]any, into any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s %s: %w", from["kind"], (&unstructured.Unstructured{Object: from}).GetName(), err)
	}
	return nil
}
