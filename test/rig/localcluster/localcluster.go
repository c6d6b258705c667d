// Package localcluster starts a Kubernetes cluster of plain processes, in which Helm can really install the chart: no
// root, no container runtime, no images.
//
// etcd, kube-apiserver, kube-controller-manager and kube-scheduler are Kubernetes' own, and so are cert-manager's
// controllers and cainjector. Two parts are ours. A process kubelet stands for two nodes and runs pods of our image
// as processes of this machine; a balancer stands for kube-proxy. Services have addresses in 127.0.0.0/8, so that the API
// server reaches the webhook by its Service, as in any cluster. Linux only, since elsewhere the loopback interface has
// one address.
package localcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/kubelet"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/process"
	"github.com/dagger-inject/dagger-inject/test/rig/program"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// The reference of our image: pods with it run as processes, whatever its tag.
const (
	ImageRegistry   = "localcluster.test"
	ImageRepository = "dagger-inject"
	ImageTag        = "dev"
)

// Options says what to start; its zero value serves.
type Options struct {
	// Output receives progress, one line a step.
	Output io.Writer
	// BalancerDelay is how late the balancer follows the readiness of pods; zero is one second, as for a busy kube-proxy.
	BalancerDelay time.Duration
}

// Cluster is a running cluster. Its methods may be called concurrently.
type Cluster struct {
	*controlplane.ControlPlane
	// Kubeconfig is the path of the administrator's kubeconfig file.
	Kubeconfig string
	// Kubelet runs the pods.
	Kubelet *kubelet.Kubelet

	opts      Options
	programs  programs
	clientset *kubernetes.Clientset
	network   network
	balancer  *balancer
	certs     certManager
	cancel    context.CancelFunc
}

// Start starts a cluster and waits until pods can be run and certificates issued. Cancelling the context stops it as
// Stop does.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	if opts.Output == nil {
		opts.Output = io.Discard
	}
	began := time.Now()
	c := &Cluster{opts: opts}
	if c.programs, err = buildPrograms(ctx, opts.Output); err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	for _, step := range []func(context.Context) error{
		c.startControlPlane, c.startComponents, c.startCertManager, c.startKubelet, c.startBalancer, c.certs.waitReady,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	_, _ = fmt.Fprintf(opts.Output, "cluster ready after %s: controllers, scheduler, cert-manager, %d nodes\n",
		time.Since(began).Round(10*time.Millisecond), len(c.network.nodes()))
	return c, nil
}

// programs are the paths of what a cluster runs.
type programs struct {
	// kubernetes is a folder of the control plane's programs.
	kubernetes                         string
	helm, certManager, certManagerCRDs string
}

func buildPrograms(ctx context.Context, output io.Writer) (p programs, err error) {
	p.kubernetes, err = tools.Build(ctx, output, tools.Kubernetes, "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	if err != nil {
		return p, fmt.Errorf("finding the cluster's binaries: %w", err)
	}
	folder, err := tools.Build(ctx, output, tools.Chart, "helm")
	if err != nil {
		return p, err
	}
	p.helm = filepath.Join(folder, "helm")
	p.certManager, p.certManagerCRDs, err = tools.CertManager(ctx, output)
	return p, err
}

// startControlPlane starts etcd and the API server, and makes the administrator's clients.
func (c *Cluster) startControlPlane(ctx context.Context) (err error) {
	if c.network, err = newNetwork(); err != nil {
		return err
	}
	c.ControlPlane, err = controlplane.Start(ctx, controlplane.Options{
		Output: c.opts.Output, ExtraArgs: map[string][]string{"service-cluster-ip-range": {c.network.services}},
	})
	if err != nil {
		return err
	}
	if c.Kubeconfig, err = c.ControlPlane.Kubeconfig(c.Config()); err != nil {
		return err
	}
	c.clientset, err = kubernetes.NewForConfig(c.Config())
	return err
}

// startKubelet builds our program and starts the kubelet that runs it as the pods of our image.
func (c *Cluster) startKubelet(ctx context.Context) error {
	image, err := c.Folder("image")
	if err != nil {
		return err
	}
	binary, err := program.Build(ctx, image)
	if err != nil {
		return err
	}
	folder, err := c.Folder("pods")
	if err != nil {
		return err
	}
	c.Kubelet, err = kubelet.Start(ctx, kubelet.Options{
		Client: c.clientset, Config: c.Config(), Kubeconfig: c.ControlPlane.Kubeconfig, Launcher: c.Launcher,
		Folder: folder, Image: ImageRegistry + "/" + ImageRepository, Binary: binary,
		Nodes: c.network.nodes(), Port: c.network.kubelet, NewPodIP: c.network.newPod, Output: c.opts.Output,
	})
	return err
}

func (c *Cluster) startBalancer(ctx context.Context) (err error) {
	c.balancer, err = startBalancer(ctx, c.clientset, cmp.Or(c.opts.BalancerDelay, time.Second), c.opts.Output)
	return err
}

// startComponents starts Kubernetes' controllers and its scheduler.
func (c *Cluster) startComponents(context.Context) error {
	ca := filepath.Join(filepath.Dir(c.Kubeconfig), "ca.crt")
	if err := os.WriteFile(ca, c.Config().CAData, 0o600); err != nil {
		return err
	}
	for _, component := range []struct {
		name, binary string
		args         []string
	}{
		{"kube-controller-manager", filepath.Join(c.programs.kubernetes, "kube-controller-manager"), []string{
			// No port is needed, and two clusters on a machine would want the same.
			"--kubeconfig", c.Kubeconfig, "--root-ca-file", ca, "--leader-elect=false", "--secure-port=0",
			"--kube-api-qps=500", "--kube-api-burst=1000",
		}},
		{"kube-scheduler", filepath.Join(c.programs.kubernetes, "kube-scheduler"), []string{
			"--kubeconfig", c.Kubeconfig, "--leader-elect=false", "--secure-port=0",
		}},
	} {
		if _, err := c.start(component.name, component.binary, component.args...); err != nil {
			return fmt.Errorf("starting %s: %w", component.name, err)
		}
	}
	return nil
}

// start runs a binary under a name, with its output in a file. It ends with the cluster at the latest.
func (c *Cluster) start(name, binary string, args ...string) (*process.Process, error) {
	path, err := c.Launcher(name, binary)
	if err != nil {
		return nil, err
	}
	return process.Start(path, filepath.Join(filepath.Dir(path), name+".log"), os.Environ(), args...)
}

// Stop ends everything and removes its files.
func (c *Cluster) Stop() error {
	c.cancel()
	if c.ControlPlane == nil {
		return nil
	}
	return c.ControlPlane.Stop()
}
