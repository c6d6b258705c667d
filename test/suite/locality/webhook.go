package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// chart renders the project's chart.
type chart struct {
	helm, folder string

	mu sync.Mutex
	// rendered is what helm printed for a ladder: it takes a second.
	rendered map[sim.Ladder]string
}

func newChart(ctx context.Context, progress io.Writer) (*chart, error) {
	programs, err := tools.Build(ctx, progress, tools.Chart, "helm")
	if err != nil {
		return nil, err
	}
	root, err := tools.Root(ctx)
	if err != nil {
		return nil, err
	}
	return &chart{
		helm: filepath.Join(programs, "helm"), folder: filepath.Join(root, "charts", "dagger-inject"), rendered: map[sim.Ladder]string{},
	}, nil
}

// template returns the chart's output with placement by cache as a ladder says, and all other values the chart's own.
func (c *chart) template(ctx context.Context, ladder sim.Ladder) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text, ok := c.rendered[ladder]; ok {
		return text, nil
	}
	at := "policy.scheduling.cacheAffinity."
	set := fmt.Sprintf("%senabled=%t", at, ladder.Nodes > 0)
	if ladder.Nodes > 0 {
		set += fmt.Sprintf(",%snodes=%d,%sweight=%d,%slastWeight=%d", at, ladder.Nodes, at, ladder.Weight, at, ladder.LastWeight)
	}
	text, err := tools.Run(ctx, nil, c.folder, c.helm, "template", releaseNamespace, ".", "--namespace", releaseNamespace, "--set", set)
	if err == nil {
		c.rendered[ladder] = text
	}
	return text, err
}

// render returns the chart's objects of the kinds, with placement by cache as a ladder says.
func (c *chart) render(ctx context.Context, ladder sim.Ladder, kinds ...string) ([]*unstructured.Unstructured, error) {
	text, err := c.template(ctx, ladder)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			if object.GetKind() == kind {
				objects = append(objects, object)
			}
		}
	}
}

// apply creates objects, or replaces those that there are.
func (c *cluster) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		err := c.Client().Create(ctx, object)
		if apierrors.IsAlreadyExists(err) {
			have := object.DeepCopy()
			if err := c.Client().Get(ctx, client.ObjectKeyFromObject(object), have); err != nil {
				return err
			}
			object.SetResourceVersion(have.GetResourceVersion())
			err = c.Client().Update(ctx, object)
		}
		if err != nil {
			return fmt.Errorf("applying the chart's %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// usePolicy makes a ladder the cluster's policy.
func (c *cluster) usePolicy(ctx context.Context, ladder sim.Ladder) error {
	if c.ladder == ladder {
		return nil
	}
	objects, err := c.chart.render(ctx, ladder, "ConfigMap")
	if err != nil {
		return err
	}
	c.ladder = ladder
	return c.apply(ctx, objects)
}

// startWebhook runs dagger-inject with the chart's policy and the chart's rights, and registers it.
func (c *cluster) startWebhook(ctx context.Context, binary string) error {
	// With a ladder, since the chart lets the webhook read the engines' pods only where the policy needs it.
	c.ladder = sim.Ladder{Nodes: 16, Weight: 100, LastWeight: 10}
	objects, err := c.chart.render(ctx, c.ladder, "ConfigMap", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
	if err != nil {
		return err
	}
	if err := c.apply(ctx, objects); err != nil {
		return err
	}
	account, err := c.ServiceAccountConfig(ctx, releaseNamespace, releaseNamespace)
	if err != nil {
		return err
	}
	kubeconfig, err := c.Kubeconfig(account)
	if err != nil {
		return err
	}
	certs, err := c.Folder("certs")
	if err != nil {
		return err
	}
	if _, err := webhook.EnsureCertificate(certs); err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(certs, "tls.crt"))
	if err != nil {
		return err
	}
	ports, err := program.FreePorts(2)
	if err != nil {
		return err
	}
	// Through the launcher, so that it ends with the control plane, however this process ends.
	path, err := c.Launcher("dagger-inject", binary)
	if err != nil {
		return err
	}
	c.webhook, err = program.Start(path, "webhook", "--kubeconfig", kubeconfig, "--release-namespace", releaseNamespace,
		"--bind-address", "127.0.0.1", "--port", strconv.Itoa(ports[0]), "--cert-dir", certs, "--metrics-bind-address", "0",
		"--health-probe-bind-address", program.Loopback(ports[1]), "--drain-quiet-period", "0s")
	if err != nil {
		return err
	}
	if err := c.webhook.WaitReady(ctx, "http://"+program.Loopback(ports[1])+"/readyz"); err != nil {
		return err
	}
	return c.RegisterWebhooks(ctx, registration.Configuration(func(path string) admissionregistrationv1.WebhookClientConfig {
		url := fmt.Sprintf("https://localhost:%d%s", ports[0], path)
		return admissionregistrationv1.WebhookClientConfig{URL: ptr.To(url), CABundle: bytes.Clone(ca)}
	}, releaseNamespace))
}
