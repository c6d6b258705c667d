package client

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Object is a Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// ObjectList is a list of Kubernetes objects.
type ObjectList interface {
	metav1.ListInterface
	runtime.Object
}

// ObjectKey names an object.
type ObjectKey = types.NamespacedName

// Reader reads objects.
type Reader interface {
	Get(ctx context.Context, key ObjectKey, into Object, opts ...GetOption) error
	List(ctx context.Context, into ObjectList, opts ...ListOption) error
}

// GetOption changes how an object is read; there is none.
type GetOption interface{ applyToGet() }

// ListOption selects objects.
type ListOption interface{ ApplyToList(*ListOptions) }

// ListOptions are what ListOptions of one call add up to.
type ListOptions struct {
	LabelSelector labels.Selector
	FieldSelector fields.Selector
	Namespace     string
	Limit         int64
}

// ApplyOptions adds up options.
func (o *ListOptions) ApplyOptions(opts []ListOption) {
	for _, opt := range opts {
		opt.ApplyToList(o)
	}
}

// InNamespace selects the objects of a namespace.
type InNamespace string

// ApplyToList is a ListOption's.
func (n InNamespace) ApplyToList(o *ListOptions) { o.Namespace = string(n) }

// MatchingLabels selects objects that have all of the labels.
type MatchingLabels map[string]string

// ApplyToList is a ListOption's.
func (m MatchingLabels) ApplyToList(o *ListOptions) {
	o.LabelSelector = labels.SelectorFromSet(labels.Set(m))
}

// MatchingLabelsSelector selects objects by a selector of labels.
type MatchingLabelsSelector struct{ labels.Selector }

// ApplyToList is a ListOption's.
func (m MatchingLabelsSelector) ApplyToList(o *ListOptions) { o.LabelSelector = m.Selector }

// Limit is how many objects are enough.
type Limit int64

// ApplyToList is a ListOption's.
func (l Limit) ApplyToList(o *ListOptions) { o.Limit = int64(l) }

// IgnoreNotFound returns nil for an error that says that an object does not exist, and every other error as it is.
func IgnoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// GVKForObject returns the kind of an object that the scheme knows, or that the object names if it is of no type of its own.
func GVKForObject(object runtime.Object, scheme *runtime.Scheme) (schema.GroupVersionKind, error) {
	kinds, _, err := scheme.ObjectKinds(object)
	if err != nil || len(kinds) != 1 {
		return schema.GroupVersionKind{}, fmt.Errorf("the kind of a %T: %d are known: %w", object, len(kinds), err)
	}
	return kinds[0], nil
}
