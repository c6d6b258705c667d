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

// The types of controller-runtime's client.
type (
	Reader                 = client.Reader
	Object                 = client.Object
	ObjectList             = client.ObjectList
	ObjectKey              = client.ObjectKey
	GetOption              = client.GetOption
	ListOption             = client.ListOption
	ListOptions            = client.ListOptions
	InNamespace            = client.InNamespace
	MatchingLabels         = client.MatchingLabels
	MatchingLabelsSelector = client.MatchingLabelsSelector
	Limit                  = client.Limit
)

// IgnoreNotFound returns nil for an error that says that an object does not exist, and every other error as it is.
func IgnoreNotFound(err error) error { return client.IgnoreNotFound(err) }

// GVKForObject returns the kind of an object that the scheme knows.
func GVKForObject(object runtime.Object, scheme *runtime.Scheme) (schema.GroupVersionKind, error) {
	return apiutil.GVKForObject(object, scheme)
}
