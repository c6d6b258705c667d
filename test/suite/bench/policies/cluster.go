package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
)

// writers is how many objects are created at a time.
const writers = 16

// kubectl is the field manager of "kubectl apply": the API server notes in managedFields what it set.
const kubectl = client.FieldOwner("kubectl-client-side-apply")

// populate creates the cluster's policy, one namespace without a policy, and n with one.
func populate(ctx context.Context, cp *controlplane.ControlPlane, names []string, progress io.Writer) error {
	for _, name := range []string{releaseNamespace, without} {
		if err := create(ctx, cp.Client(), name, name == releaseNamespace, clusterPolicy(0)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next, done atomic.Int64
		work       sync.WaitGroup
		began      = time.Now()
	)
	for range writers {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := create(ctx, cp.Client(), names[i], true, namespacePolicy(names[i], 0)); err != nil {
					cancel(err)
				}
				if n := done.Add(1); n%1000 == 0 {
					_, _ = fmt.Fprintf(progress, "%d of %d namespaces created after %s\n", n, len(names), time.Since(began).Round(time.Second))
				}
			}
		})
	}
	work.Wait()
	return context.Cause(ctx)
}

func create(ctx context.Context, c client.Client, name string, hasPolicy bool, document string) error {
	ns, err := teamNamespace(name)
	if err == nil {
		err = c.Create(ctx, ns, kubectl)
	}
	if err != nil {
		return fmt.Errorf("creating the namespace %s: %w", name, err)
	}
	if !hasPolicy {
		return nil
	}
	cm, err := configMap(name, document)
	if err == nil {
		err = c.Create(ctx, cm, kubectl)
	}
	if err != nil {
		return fmt.Errorf("creating the policy of %s: %w", name, err)
	}
	return nil
}

// apply changes a policy that exists.
func apply(ctx context.Context, c client.Client, namespace, document string) error {
	cm, err := configMap(namespace, document)
	if err == nil {
		err = c.Update(ctx, cm, kubectl)
	}
	if err != nil {
		return fmt.Errorf("changing the policy of %s: %w", namespace, err)
	}
	return nil
}
