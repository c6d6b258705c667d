package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
	"github.com/dagger-inject/dagger-inject/test/rig/onnode"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

const (
	engineRelease = "v0.21.8-default"
	engineImage   = "registry.dagger.io/engine:v0.21.8"
	// cliSize is the length of that engine's command.
	cliSize = 65_000_000
)

// node is a node of test/rig/node.
type node struct {
	program, state string
	own            bool
}

// findNode returns the node of a state folder, or starts one if none is named.
func findNode(ctx context.Context, state, dir string) (*node, error) {
	root, err := tools.Root(ctx)
	if err != nil {
		return nil, err
	}
	n := &node{program: filepath.Join(dir, "node"), state: state}
	if _, err := tools.Run(ctx, nil, root, "go", "build", "-o", n.program, "./test/rig/node"); err != nil {
		return nil, err
	}
	if state != "" {
		return n, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	n.state, n.own = filepath.Join(cache, "dagger-inject", "startup"), true
	if _, err := tools.Run(ctx, os.Stderr, "", n.program, "--state", n.state, "up"); err != nil {
		return nil, errors.Join(err, n.down(context.WithoutCancel(ctx)))
	}
	return n, nil
}

// down removes the node, unless it was there before.
func (n *node) down(ctx context.Context) error {
	if !n.own {
		return nil
	}
	_, err := tools.Run(ctx, nil, "", n.program, "--state", n.state, "down")
	return err
}

// installEngine deploys the official chart's manifests, with a stand-in whose command is as large as the real one, and waits for the
// engine.
func installEngine(ctx context.Context, kube client.Client, state, dir string) error {
	root, err := tools.Root(ctx)
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, "engine.tar")
	_, err = tools.Run(ctx, nil, filepath.Join(root, "test", "rig", "images"), "go", "run", ".", "--source", root,
		"--output", archive, "--only", engineImage, "--cli-size", strconv.Itoa(cliSize))
	if err != nil {
		return err
	}
	if err := onnode.Load(ctx, state, archive); err != nil {
		return err
	}
	objects, err := enginechart.Release(engineRelease, enginechart.DefaultRelease)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := client.IgnoreAlreadyExists(kube.Create(ctx, object)); err != nil {
			return err
		}
	}
	return poll.Until(ctx, "the engine is ready", 200*time.Millisecond, patience, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := kube.List(ctx, &pods, client.InNamespace(enginechart.Namespace)); err != nil {
			return err
		}
		for _, pod := range pods.Items {
			for _, status := range pod.Status.ContainerStatuses {
				if status.Ready {
					return nil
				}
			}
		}
		return fmt.Errorf("none of %d pods is", len(pods.Items))
	})
}
