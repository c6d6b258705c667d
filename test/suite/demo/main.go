// Command demo shows the main job in a cluster of this machine's processes: Helm installs the chart, cert-manager issues
// its certificate, and pods as ARC and GitLab Runner make them leave admission able to use a Dagger Engine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/test/rig/localcluster"
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

// say prints a step, so that the user sees what is happening.
func say(format string, args ...any) {
	text := "\n== " + fmt.Sprintf(format, args...)
	if term.IsTerminal(int(os.Stdout.Fd())) {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Println(text)
}

func run(ctx context.Context) (err error) {
	say("Starting a cluster of processes: Kubernetes' own control plane, cert-manager, and two nodes that stand in for real ones")
	cluster, err := localcluster.Start(ctx, localcluster.Options{Output: os.Stdout})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()

	before := map[string]string{}
	for _, d := range demos {
		if err := d.prepare(ctx, cluster); err != nil {
			return err
		}
		// What the API server makes of the pod by itself, so that the difference below is ours alone.
		if before[d.fixture], err = d.create(ctx, cluster, true); err != nil {
			return err
		}
	}

	say("Installing a Dagger Engine as its chart does")
	if err := installEngine(ctx, cluster); err != nil {
		return err
	}
	if err := installChart(ctx, cluster); err != nil {
		return err
	}

	for _, d := range demos {
		say("%s", d.title)
		after, err := d.create(ctx, cluster, false)
		if err != nil {
			return err
		}
		if err := d.report(before[d.fixture], after); err != nil {
			return err
		}
	}
	say("kubectl get pods --all-namespaces")
	table, err := cluster.Table(ctx, "/api/v1/pods")
	if err != nil {
		return err
	}
	fmt.Print(table)
	fmt.Println("(The nodes run no image but the webhook's: other pods wait there.)")
	say("Done. Nothing was changed in either runner controller; stopping and cleaning up")
	return nil
}

// installEngine creates the DaemonSet of an engine, from the official chart's own output.
func installEngine(ctx context.Context, cluster *localcluster.Cluster) error {
	if err := cluster.CreateNamespace(ctx, "dagger", nil, nil); err != nil {
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
	if err := cluster.Client().Create(ctx, &engine); err != nil {
		return err
	}
	fmt.Printf("daemonset.apps/%s created in namespace %s\n", engine.Name, engine.Namespace)
	return nil
}

// installChart installs the chart as an operator would: without a policy, since all is read off the engine.
func installChart(ctx context.Context, cluster *localcluster.Cluster) error {
	chart, err := treePath("charts", "dagger-inject")
	if err != nil {
		return err
	}
	values := filepath.Join(filepath.Dir(cluster.Kubeconfig), "values.yaml")
	if err := os.WriteFile(values, []byte(cluster.ReleaseValues()), 0o600); err != nil {
		return err
	}
	args := []string{
		"install", localcluster.ReleaseNamespace, chart, "--namespace", localcluster.ReleaseNamespace, "--create-namespace", "--wait",
	}
	say("helm %s", strings.Join(args, " "))
	fmt.Printf("with values that fit this cluster:\n%s\n", cluster.ReleaseValues())
	args = append(args, "--values", values, "--timeout", "5m")
	began := time.Now()
	out, err := cluster.Helm(ctx, args...)
	if err != nil {
		return err
	}
	fmt.Print(out)
	fmt.Printf("\ninstalled and ready after %s\n", time.Since(began).Round(100*time.Millisecond))
	return nil
}
