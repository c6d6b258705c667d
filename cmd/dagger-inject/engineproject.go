//go:build !js

package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/internal/engines"
)

// runProject shows where the jobs of a project go by its cache.
func (f *engineFlags) runProject(ctx context.Context, s streams) error {
	namespace, key, ok := strings.Cut(f.project, "/")
	if !ok || namespace == "" || key == "" {
		return badInputf("--project %q is not accepted: want NAMESPACE/KEY, the namespace of the jobs and the key in their status, "+
			"as in ci/gitlab:42", f.project)
	}
	pods, err := f.enginePods(ctx, s)
	if err != nil {
		return err
	}
	orders := engines.Orders(pods, namespace, key)
	if len(orders) == 0 {
		where := "namespace " + f.namespace
		if f.allNamespaces {
			where = "the cluster"
		}
		return fmt.Errorf("no pod in %s is known to run a ready engine", where)
	}
	if f.output != "" {
		return writeObject(s.out, f.output, struct {
			Orders []engines.Order `json:"orders"`
		}{orders})
	}
	return engines.OrdersText(s.out, orders)
}

// enginePods reads the pods among which engines are.
func (f *engineFlags) enginePods(ctx context.Context, s streams) ([]corev1.Pod, error) {
	if len(f.files) > 0 {
		objects, err := readObjects(f.files, s.in)
		if err != nil {
			return nil, err
		}
		names := []string{f.namespace}
		if f.allNamespaces {
			names = namespacesOf(objects, f.namespace)
		}
		return podsIn(objects, names)
	}
	reader, err := f.client()
	if err != nil {
		return nil, err
	}
	var options []client.ListOption
	if !f.allNamespaces {
		options = append(options, client.InNamespace(f.namespace))
	}
	var list corev1.PodList
	if err := reader.List(ctx, &list, options...); err != nil {
		return nil, fmt.Errorf("reading the engines' pods: %w", err)
	}
	return list.Items, nil
}
