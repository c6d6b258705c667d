package main

import (
	"cmp"
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// offline reports whether files stand for the cluster.
func (f *explainFlags) offline() bool {
	return f.filesAlone || f.policy != "" || f.namespacePolicy != "" || len(f.engines) > 0 || len(f.cluster) > 0 ||
		len(f.namespaceLabels)+len(f.namespaceAnnotations) > 0
}

func (f *explainFlags) explainer(ctx context.Context) (*explain.Explainer, error) {
	e := &explain.Explainer{Cluster: inject.Cluster{NodeIPv6: f.nodeIPv6}, Offline: f.offline(), Version: version}
	if !e.Offline {
		err := f.connect(e)
		if err == nil {
			e.ReleaseNamespace = cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, e.Reader))
		}
		return e, err
	}
	var err error
	if e.Cluster.ImageVolumes, err = hasImageVolumes(f.kubeVersion); err != nil {
		return nil, err
	}
	objects, err := readManifests(f.cluster)
	if err != nil {
		return nil, err
	}
	e.ReleaseNamespace = cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, objects))
	engines, err := readObjects(f.engines, nil)
	if err != nil {
		return nil, err
	}
	if len(engines) > 0 || len(f.cluster) == 0 {
		e.Engines = func(own string) inject.Engines { return offlineEngines(engines, own) }
		e.Ready = func(namespaces []string) (engine.Ready, error) { return offlineReady(engines, namespaces) }
	}
	if len(f.namespaceLabels)+len(f.namespaceAnnotations) > 0 {
		e.Reader = labelled{objects, f}
	} else {
		e.Reader = objects
	}
	var cm corev1.ConfigMap
	if f.policy == "" && f.namespacePolicy == "" &&
		objects.Get(ctx, client.ObjectKey{Namespace: e.ReleaseNamespace, Name: config.ConfigMapName}, &cm) == nil {
		return e, nil
	}
	if e.Policies, err = readPolicies(f.policy, f.namespacePolicy); err != nil {
		return nil, err
	}
	return e, checkPolicies(e.Policies(nil))
}

// labelled wraps objects so that every namespace has the labels and annotations of the command line.
type labelled struct {
	cluster.Objects
	flags *explainFlags
}

// Get also returns namespaces that the objects do not contain.
func (l labelled) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	ns, ok := into.(*corev1.Namespace)
	if !ok {
		return l.Objects.Get(ctx, key, into, opts...)
	}
	if err := client.IgnoreNotFound(l.Objects.Get(ctx, key, ns, opts...)); err != nil {
		return err
	}
	ns.Name = key.Name
	ns.Labels, ns.Annotations = labels.Merge(ns.Labels, l.flags.namespaceLabels), labels.Merge(ns.Annotations, l.flags.namespaceAnnotations)
	return nil
}

// readManifests reads manifests that stand for a cluster.
func readManifests(files []string) (cluster.Objects, error) {
	read, err := readObjects(files, nil)
	if err != nil {
		return nil, err
	}
	objects := make(cluster.Objects, len(read))
	for i, object := range read {
		objects[i] = unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(object.Text()), &objects[i].Object); err != nil {
			return nil, badInputf("%s: %w", object.name, err)
		}
	}
	return objects, nil
}
