// Command demo shows the main job on a real control plane: pods as ARC and GitLab Runner make them, created on a real
// kube-apiserver, leave it able to use a Dagger Engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/test/controlplane"
	"github.com/dagger-inject/dagger-inject/test/program"
	"github.com/dagger-inject/dagger-inject/webhook"
)

func main() {
	log.SetLogger(logr.New(log.NullLogSink{}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// say prints a step, so that a person sees what is happening and what is waited for.
func say(format string, args ...any) {
	text := "\n== " + fmt.Sprintf(format, args...)
	if term.IsTerminal(int(os.Stdout.Fd())) {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Println(text)
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "dagger-inject-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	say("Starting a real control plane: etcd and kube-apiserver")
	cp, err := controlplane.Start(ctx, controlplane.Options{Output: os.Stdout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()

	before := map[string]string{}
	for _, d := range demos {
		if err := d.prepare(ctx, cp); err != nil {
			return err
		}
		// What the API server makes of the pod by itself, so that the difference below is ours alone.
		if before[d.fixture], err = d.create(ctx, cp, true); err != nil {
			return err
		}
	}

	say("Installing a Dagger Engine as its chart does, and the cluster's policy: the ConfigMap %s", config.ConfigMapName)
	if err := installPolicy(ctx, cp); err != nil {
		return err
	}

	say("Starting the webhook, and registering it for pods that ask")
	stop, err := startWebhook(ctx, cp, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	for _, d := range demos {
		say("%s", d.title)
		after, err := d.create(ctx, cp, false)
		if err != nil {
			return err
		}
		if err := d.report(before[d.fixture], after); err != nil {
			return err
		}
	}
	say("Done. Nothing was changed in either runner controller; stopping and cleaning up")
	return nil
}

// releaseNamespace is where the webhook's chart would be installed.
const releaseNamespace = "dagger-inject"

// installPolicy creates the DaemonSet of an engine, from the official chart's own output, and a policy that says nothing: all
// is read off the engine.
func installPolicy(ctx context.Context, cp *controlplane.ControlPlane) error {
	if err := cp.CreateNamespace(ctx, releaseNamespace, nil, nil); err != nil {
		return err
	}
	policy := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: releaseNamespace, Name: config.ConfigMapName},
		Data:       map[string]string{config.DefaultProfile + ".yaml": "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n"},
	}
	if err := cp.Client().Create(ctx, policy); err != nil {
		return err
	}
	if err := cp.CreateNamespace(ctx, "dagger", nil, nil); err != nil {
		return err
	}
	text, err := readTestFile("engines", "v0.21.8-default", "manifests.yaml")
	if err != nil {
		return err
	}
	var engine appsv1.DaemonSet
	if err := yaml.Unmarshal(text, &engine); err != nil {
		return err
	}
	fmt.Println("the policy says nothing: socket, group, placement and CLI are read off the engine")
	return cp.Client().Create(ctx, &engine)
}

// startWebhook builds and runs the program as an operator would, and registers it.
func startWebhook(ctx context.Context, cp *controlplane.ControlPlane, dir string) (stop func() error, err error) {
	path, err := program.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	if _, err := webhook.EnsureCertificate(dir); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "tls.crt"))
	if err != nil {
		return nil, err
	}
	kubeconfig, err := cp.Kubeconfig(cp.Config())
	if err != nil {
		return nil, err
	}
	ports, err := program.FreePorts(2)
	if err != nil {
		return nil, err
	}
	port, health := ports[0], program.Loopback(ports[1])
	process, err := program.Start(path, "webhook", "--kubeconfig", kubeconfig, "--release-namespace", releaseNamespace, "--bind-address", "127.0.0.1", "--port", strconv.Itoa(port),
		"--cert-dir", dir, "--metrics-bind-address", "0", "--health-probe-bind-address", health, "--drain-quiet-period", "0s")
	if err != nil {
		return nil, err
	}
	if err := process.WaitReady(ctx, "http://"+health+"/readyz"); err != nil {
		return nil, errors.Join(err, process.Stop())
	}
	configuration := webhook.Configuration(func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{URL: ptr.To(fmt.Sprintf("https://localhost:%d%s", port, path)), CABundle: ca}
	}, releaseNamespace)
	if err := cp.RegisterWebhooks(ctx, configuration); err != nil {
		return nil, errors.Join(err, process.Stop())
	}
	fmt.Printf("ready, %d entries registered: %s and %s\n", len(configuration.Webhooks), webhook.EntryNamePod, webhook.EntryNameNamespace)
	return process.Stop, nil
}
