//go:build !js

// Package client has the part of controller-runtime's client with which objects are read. Everywhere but in a browser it is that
// client itself; in a browser, where no cluster can be read and every byte is downloaded, it is as much as a client.Reader of objects
// in memory takes.
package client

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

type (
	// Reader reads objects.
	Reader = client.Reader
	// Object is a Kubernetes object.
	Object = client.Object
	// ObjectList is a list of Kubernetes objects.
	ObjectList = client.ObjectList
	// ObjectKey names an object.
	ObjectKey = client.ObjectKey
	// GetOption changes how an object is read.
	GetOption = client.GetOption
	// ListOption selects objects.
	ListOption = client.ListOption
	// ListOptions are what ListOptions of one call add up to.
	ListOptions = client.ListOptions
	// InNamespace selects the objects of a namespace.
	InNamespace = client.InNamespace
	// MatchingLabels selects objects that have all of the labels.
	MatchingLabels = client.MatchingLabels
	// MatchingLabelsSelector selects objects by a selector of labels.
	MatchingLabelsSelector = client.MatchingLabelsSelector
	// Limit is how many objects are enough.
	Limit = client.Limit
)

// IgnoreNotFound returns nil for an error that says that an object does not exist, and every other error as it is.
func IgnoreNotFound(err error) error { return client.IgnoreNotFound(err) }

// GVKForObject returns the kind of an object that the scheme knows.
func GVKForObject(object runtime.Object, scheme *runtime.Scheme) (schema.GroupVersionKind, error) {
	return apiutil.GVKForObject(object, scheme)
}
