package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// offlineEngines reads engines off manifests, as the webhook does off the cluster; nil without manifests. The pods are in the
// namespace own.
func offlineEngines(objects []manifestObject, own string) inject.Engines {
	if len(objects) == 0 {
		return nil
	}
	return func(namespace string, selector labels.Selector) (*engine.Found, error) {
		if namespace = cmp.Or(namespace, own); namespace == "" {
			return nil, errors.New("which namespace is the pod's own is not known")
		}
		w, err := workloadsIn(objects, namespace, namespace)
		if err != nil {
			return nil, err
		}
		found, err := w.Discover(selector)
		if err != nil {
			return nil, fmt.Errorf("namespace %s: %w", namespace, err)
		}
		return found, nil
	}
}

// offlineReady reads off manifests which pods of engines are ready, as the webhook does off the cluster.
func offlineReady(objects []manifestObject, namespaces []string) (engine.Ready, error) {
	pods, err := podsIn(objects, namespaces)
	if err != nil {
		return nil, err
	}
	ready, _ := engine.NewReady(slices.Values(cluster.EnginePods(pods)), time.Now(), nil)
	return ready, nil
}

// podsIn takes the pods of some namespaces out of manifests; those that name no namespace belong to each.
func podsIn(objects []manifestObject, namespaces []string) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	for _, namespace := range namespaces {
		for _, object := range objects {
			own, _ := object.Get("metadata").Get("namespace").Str()
			if kind, _ := object.Get("kind").Str(); kind != "Pod" || cmp.Or(own, namespace) != namespace {
				continue
			}
			var err error
			if pods, err = appendObject(pods, object, namespace); err != nil {
				return nil, badInputf("%s: %w", object.name, err)
			}
		}
	}
	return pods, nil
}

// manifestObject is an object of a manifest; the name says where it stands.
type manifestObject struct {
	name string
	rawjson.Value
}

// readObjects reads manifests, and the items of the lists in them.
func readObjects(files []string, stdin io.Reader) ([]manifestObject, error) {
	var objects []manifestObject
	for _, file := range files {
		documents, err := readDocuments(file, stdin)
		if err != nil {
			return nil, err
		}
		for _, d := range documents {
			var index rawjson.Document
			root, err := index.Parse(string(d.json))
			if err != nil {
				return nil, badInputf("%s: %w", d.name, err)
			}
			items := root.Get("items")
			if items.Kind() != rawjson.Array {
				objects = append(objects, manifestObject{d.name, root})
				continue
			}
			for _, item := range items.Elements() {
				objects = append(objects, manifestObject{d.name, item})
			}
		}
	}
	return objects, nil
}

// namespacesOf returns the namespaces that manifests name; those that name none belong to the one given.
func namespacesOf(objects []manifestObject, without string) []string {
	var names []string
	for _, object := range objects {
		own, _ := object.Get("metadata").Get("namespace").Str()
		names = append(names, cmp.Or(own, without))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// workloadsIn takes the workloads and Services of a namespace out of manifests; those that name no namespace belong to the one
// that is given for them.
func workloadsIn(objects []manifestObject, namespace, without string) (*engine.Workloads, error) {
	var w engine.Workloads
	for _, object := range objects {
		if own, _ := object.Get("metadata").Get("namespace").Str(); cmp.Or(own, without) != namespace {
			continue
		}
		var err error
		switch kind, _ := object.Get("kind").Str(); kind {
		case "DaemonSet":
			w.DaemonSets, err = appendObject(w.DaemonSets, object, namespace)
		case "StatefulSet":
			w.StatefulSets, err = appendObject(w.StatefulSets, object, namespace)
		case "Deployment":
			w.Deployments, err = appendObject(w.Deployments, object, namespace)
		case "Service":
			w.Services, err = appendObject(w.Services, object, namespace)
		}
		if err != nil {
			return nil, badInputf("%s: %w", object.name, err)
		}
	}
	return &w, nil
}

// appendObject decodes an object and puts it into the namespace.
func appendObject[T any, P interface {
	*T
	metav1.Object
}](to []T, object manifestObject, namespace string) ([]T, error) {
	var decoded T
	if err := json.Unmarshal([]byte(object.Text()), &decoded); err != nil {
		return nil, err
	}
	P(&decoded).SetNamespace(namespace)
	return append(to, decoded), nil
}
