//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/dagger-inject/dagger-inject/test/rig/poll"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// patience is the time limit of every wait. A start takes half a minute on an idle machine of two cores.
const patience = 5 * time.Minute

// waitReady gives the node its images and waits until pods can run on it.
func (s *settings) waitReady(ctx context.Context, state, images string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig(state))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		what, log string
		try       func(context.Context) error
	}{
		{"containerd takes images", "containerd", func(ctx context.Context) error { return load(ctx, state, []string{images}) }},
		{"the API server is ready", "kube-apiserver", func(ctx context.Context) error {
			return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		}},
		{"the node is ready", "kubelet", func(ctx context.Context) error {
			node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady {
					return errorUnless(c.Status == corev1.ConditionTrue, c.Message)
				}
			}
			return errors.New("it has not said so yet")
		}},
		{"pods can be created", "kube-controller-manager", func(ctx context.Context) error {
			_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
			return err
		}},
	} {
		if err := poll.Until(ctx, step.what, 200*time.Millisecond, patience, step.try); err != nil {
			return fmt.Errorf("%w%s", err, tail(filepath.Join(state, "log", step.log+".log")))
		}
	}
	return nil
}

func errorUnless(ok bool, text string) error {
	if ok {
		return nil
	}
	return errors.New(text)
}

// tail returns the last lines of a log, for an error.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "\n" + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "\nthe end of " + filepath.Base(file) + ":\n  " + strings.Join(lines[max(0, len(lines)-15):], "\n  ")
}

// buildImages builds the images that the node's own pods and tests run, and returns their archive.
func buildImages(ctx context.Context, state string, progress io.Writer) (string, error) {
	root, err := tools.Root(ctx)
	if err != nil {
		return "", err
	}
	archive := filepath.Join(state, "images.tar")
	_, err = tools.Run(ctx, progress, filepath.Join(root, "test", "rig", "images"), "go", "run", ".", "--source", root, "--output", archive)
	if err != nil {
		return "", fmt.Errorf("building the test images: %w", err)
	}
	return archive, nil
}

// load imports images into the node's containerd, where the kubelet finds them.
func load(ctx context.Context, state string, archives []string) error {
	program, socket, err := containerdClient(state)
	if err != nil {
		return err
	}
	for _, archive := range archives {
		cmd := exec.CommandContext(ctx, program, "--address", socket, "--namespace", "k8s.io",
			"images", "import", archive)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("importing %s: %w: %s", archive, err, bytes.TrimSpace(out))
		}
	}
	return nil
}
