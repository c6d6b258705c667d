package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/process"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// The namespaces of a cluster, apart from that of the engines and that of jobs.
const (
	// releaseNamespace is the webhook's.
	releaseNamespace = "dagger-inject"
	// runningNamespace is that of jobs that have a node from the start. The webhook is not asked about them.
	runningNamespace = "running"
)

// cluster is a control plane with kube-scheduler and the webhook. It has no controllers: a node stays as it is made, since nobody finds
// that its lease has expired, and a pod that has a node is an object and nothing else.
type cluster struct {
	*controlplane.ControlPlane
	client    *kubernetes.Clientset
	chart     *chart
	engine    *appsv1.DaemonSet
	scheduler *process.Process
	webhook   *program.Process
	// ladder is that of the policy.
	ladder sim.Ladder
}

// startCluster starts a cluster that runs the program at a path as its webhook.
func startCluster(ctx context.Context, chart *chart, binary string, progress io.Writer) (_ *cluster, err error) {
	programs, err := tools.Build(ctx, progress, tools.Kubernetes, "etcd", "kube-apiserver", "kube-scheduler")
	if err != nil {
		return nil, err
	}
	c := &cluster{chart: chart}
	c.ControlPlane, err = controlplane.Start(ctx, controlplane.Options{Output: progress, ExtraArgs: map[string][]string{
		// It taints new nodes until a controller finds them ready.
		"disable-admission-plugins": {"TaintNodesByCondition"},
	}})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stop())
		}
	}()
	config := c.Config()
	config.ContentType = runtime.ContentTypeProtobuf
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if err := c.startScheduler(filepath.Join(programs, "kube-scheduler")); err != nil {
		return nil, fmt.Errorf("starting kube-scheduler: %w", err)
	}
	for name, labels := range map[string]map[string]string{
		releaseNamespace: nil, enginechart.Namespace: nil, runningNamespace: nil, sim.Namespace: {inject.LabelInject: "true"},
	} {
		if err := c.CreateNamespace(ctx, name, labels, nil); err != nil {
			return nil, err
		}
	}
	if err := c.installEngine(ctx); err != nil {
		return nil, err
	}
	return c, c.startWebhook(ctx, binary)
}

// schedulerConfig leaves the scheduler's defaults as they are, but for the limit of its requests, which is below what a compressed
// clock takes.
const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: %s, qps: 5000, burst: 10000, contentType: application/vnd.kubernetes.protobuf}
leaderElection: {leaderElect: false}
`

func (c *cluster) startScheduler(binary string) error {
	kubeconfig, err := c.Kubeconfig(c.Config())
	if err != nil {
		return err
	}
	file := filepath.Join(filepath.Dir(kubeconfig), "scheduler.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, schedulerConfig, kubeconfig), 0o600); err != nil {
		return err
	}
	path, err := c.Launcher("kube-scheduler", binary)
	if err != nil {
		return err
	}
	c.scheduler, err = process.Start(path, path+".log", os.Environ(), "--config", file, "--secure-port=0")
	return err
}

// stop ends everything.
func (c *cluster) stop() error {
	var err error
	if c.webhook != nil {
		err = c.webhook.Stop()
	}
	return errors.Join(err, c.Stop())
}
