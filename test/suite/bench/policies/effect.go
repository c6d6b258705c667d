package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
)

// patience is how long a change may take to be seen at all.
const patience = 30 * time.Second

// shown returns once the webhook's patches for a namespace have a text in them.
func (s *server) shown(ctx context.Context, namespace, text string) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		patch, err := s.inject(ctx, namespace)
		if err != nil {
			return fmt.Errorf("a pod in %s: %w", namespace, err)
		}
		if strings.Contains(patch, text) {
			return nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("pods in %s do not get %s after %s", namespace, text, patience)
}

// effect is the time from a change of a policy, before it is sent to the API server, until pods in a namespace get it.
func effect(ctx context.Context, s *server, cp *controlplane.ControlPlane, namespace string, revision int) (time.Duration, error) {
	began := time.Now()
	if err := apply(ctx, cp.Client(), namespace, namespacePolicy(namespace, revision)); err != nil {
		return 0, err
	}
	err := s.shown(ctx, namespace, address(namespace, revision))
	return time.Since(began), err
}

// clusterEffect is the same for the cluster's policy, in a namespace with a policy of its own and in one without.
func clusterEffect(
	ctx context.Context, s *server, cp *controlplane.ControlPlane, with string, revision int,
) (inWith, inWithout time.Duration, err error) {
	began := time.Now()
	if err := apply(ctx, cp.Client(), releaseNamespace, clusterPolicy(revision)); err != nil {
		return 0, 0, err
	}
	var watching sync.WaitGroup
	var errWith error
	watching.Go(func() {
		errWith = s.shown(ctx, with, clusterImage(revision))
		inWith = time.Since(began)
	})
	err = s.shown(ctx, without, clusterImage(revision))
	inWithout = time.Since(began)
	watching.Wait()
	if err == nil {
		err = errWith
	}
	return inWith, inWithout, err
}

// injectAll sends reviews spread over the namespaces, and makes sure that each gets its own namespace's engine.
func (s *server) injectAll(ctx context.Context, names []string, requests int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var work sync.WaitGroup
	for range connections {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < requests && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				name := names[i*len(names)/requests]
				patch, err := s.inject(ctx, name)
				if err == nil && !strings.Contains(patch, address(name, 0)) {
					err = fmt.Errorf("it is not connected to %s: %.1000s", address(name, 0), patch)
				}
				if err != nil {
					cancel(fmt.Errorf("a pod in %s: %w", name, err))
				}
			}
		})
	}
	work.Wait()
	return context.Cause(ctx)
}
