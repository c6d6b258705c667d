//go:build !js

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/engines"
)

// enginesSeen is what was read of engines at one moment.
type enginesSeen struct {
	all    []*engine.Discovered
	report *engines.Report
	read   *enginesRead
}

// look reads engines and their use.
func (f *engineFlags) look(ctx context.Context, stdin io.Reader, selector labels.Selector) (*enginesSeen, error) {
	read, err := f.read(ctx, stdin)
	if err != nil {
		return nil, err
	}
	seen := &enginesSeen{read: read, report: &engines.Report{Engines: []engines.Engine{}, PodsUnknown: read.usageUnknown}}
	for _, name := range slices.Sorted(maps.Keys(read.workloads)) {
		found, err := read.workloads[name].Discover(selector)
		if err != nil {
			if f.allNamespaces {
				continue // most namespaces have none
			}
			where := "namespace " + name
			if f.selector != "" {
				where += ", labels " + f.selector
			}
			return nil, fmt.Errorf("%s: %w; look elsewhere with --namespace and --selector", where, err)
		}
		report, err := engines.Of(found, read.documents, read.usage)
		if err != nil {
			return nil, err
		}
		seen.all = append(seen.all, found.Engines...)
		seen.report.Add(report)
	}
	if len(seen.all) == 0 {
		return nil, fmt.Errorf("no namespace has a workload with a container dagger-engine or an image of the Dagger Engine")
	}
	return seen, nil
}

// enginesRead is what engines and their use are read off.
type enginesRead struct {
	workloads map[string]*engine.Workloads // by namespace
	documents *config.Documents            // the cluster's policy; nil if it is not known
	usage     engines.Usage
	// usageUnknown says why usage is not known; empty if it is.
	usageUnknown string
}

func (f *engineFlags) read(ctx context.Context, stdin io.Reader) (*enginesRead, error) {
	if len(f.files) > 0 {
		return f.readManifests(ctx, stdin)
	}
	return f.readCluster(ctx)
}

func (f *engineFlags) readManifests(ctx context.Context, stdin io.Reader) (*enginesRead, error) {
	objects, err := readObjects(f.files, stdin)
	if err != nil {
		return nil, err
	}
	names := []string{f.namespace}
	if f.allNamespaces {
		names = namespacesOf(objects, f.namespace)
	}
	read := &enginesRead{workloads: map[string]*engine.Workloads{}}
	for _, name := range names {
		if read.workloads[name], err = workloadsIn(objects, name, f.namespace); err != nil {
			return nil, err
		}
	}
	read.usage, err = usedIn(ctx, objects)
	return read, err
}

func (f *engineFlags) readCluster(ctx context.Context) (*enginesRead, error) {
	reader, err := f.client()
	if err != nil {
		return nil, err
	}
	namespace := f.namespace
	if f.allNamespaces {
		namespace = ""
	}
	all, err := cluster.Workloads(ctx, reader, namespace)
	if err != nil {
		return nil, err
	}
	read := &enginesRead{workloads: map[string]*engine.Workloads{f.namespace: all}}
	if f.allNamespaces {
		read.workloads = all.ByNamespace()
	}
	release := cmp.Or(f.releaseNamespace, cluster.ReleaseNamespace(ctx, reader))
	// A user who may not read the policy sees what holds without one.
	read.documents, _ = cluster.PolicyDocuments(ctx, reader, release, config.OriginCluster)
	if read.usage, err = engines.Used(ctx, reader); err != nil {
		read.usage, read.usageUnknown = nil, err.Error()
	}
	return read, nil
}

// usedIn counts the pods in manifests that were given each engine; nil if there are no pods.
func usedIn(ctx context.Context, objects []manifestObject) (engines.Usage, error) {
	var pods cluster.Objects
	for _, object := range objects {
		if kind, _ := object.Get("kind").Str(); kind != "Pod" {
			continue
		}
		var pod unstructured.Unstructured
		if err := pod.UnmarshalJSON([]byte(object.Text())); err != nil {
			return nil, badInputf("%s: %w", object.name, err)
		}
		pods = append(pods, pod)
	}
	if len(pods) == 0 {
		return nil, nil
	}
	return engines.Used(ctx, pods)
}
