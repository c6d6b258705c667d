package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

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
	// version is the scheduler's.
	version string
	webhook *program.Process
	// ladder is that of the policy.
	ladder sim.Ladder
	nodes  nodes
	// probes counts nodes that were there to see whether the scheduler knows them.
	probes int
}

// startCluster starts a cluster that runs the program at a path as its webhook.
func startCluster(ctx context.Context, chart *chart, binary string, progress io.Writer) (_ *cluster, err error) {
	programs, err := tools.Build(ctx, progress, tools.Kubernetes, "etcd", "kube-apiserver", "kube-scheduler")
	if err != nil {
		return nil, err
	}
	c := &cluster{chart: chart, nodes: nodes{}}
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
	if err := c.startScheduler(ctx, filepath.Join(programs, "kube-scheduler")); err != nil {
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
	if err := c.startWebhook(ctx, binary); err != nil {
		return nil, fmt.Errorf("starting the webhook: %w", err)
	}
	return c, nil
}

// schedulerConfig leaves the scheduler's defaults as they are, but for the limit of its requests, which is below what a compressed
// clock takes.
const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: %s, qps: 5000, burst: 10000, contentType: application/vnd.kubernetes.protobuf}
leaderElection: {leaderElect: false}
`

func (c *cluster) startScheduler(ctx context.Context, binary string) error {
	user, err := c.schedulerUser(ctx)
	if err != nil {
		return err
	}
	kubeconfig, err := c.Kubeconfig(user)
	if err != nil {
		return err
	}
	file := filepath.Join(filepath.Dir(kubeconfig), "scheduler.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, schedulerConfig, kubeconfig), 0o600); err != nil {
		return err
	}
	if c.version, err = tools.Run(ctx, nil, "", binary, "--version"); err != nil {
		return err
	}
	path, err := c.Launcher("kube-scheduler", binary)
	if err != nil {
		return err
	}
	c.scheduler, err = process.Start(path, path+".log", os.Environ(), "--config", file, "--secure-port=0")
	return err
}

// schedulerUser returns a user who may do what kube-scheduler may, but for events: nobody reads them, and a fifth of all the work would be
// for them.
func (c *cluster) schedulerUser(ctx context.Context) (*rest.Config, error) {
	const name = "scheduler-without-events"
	roles := c.client.RbacV1().ClusterRoles()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, of := range []string{"system:kube-scheduler", "system:volume-scheduler"} {
		own, err := roles.Get(ctx, of, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		role.Rules = append(role.Rules, slices.DeleteFunc(own.Rules, func(r rbacv1.PolicyRule) bool {
			return slices.Contains(r.Resources, "events")
		})...)
	}
	if _, err := roles.Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
	}
	if _, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	return c.UserConfig(name)
}

// said returns, as an error, what the scheduler and the webhook printed last.
func (c *cluster) said() error {
	end := func(log string) string { return log[max(0, len(log)-2000):] }
	return fmt.Errorf("the scheduler's log ends:\n%s\nthe webhook's log ends:\n%s", end(c.scheduler.Output()), end(c.webhook.Log()))
}

// stop ends everything.
func (c *cluster) stop() error {
	var err error
	if c.webhook != nil {
		err = c.webhook.Stop()
	}
	return errors.Join(err, c.Stop())
}
