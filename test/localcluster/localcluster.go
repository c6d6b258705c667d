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

	"github.com/dagger-inject/dagger-inject/test/controlplane"
	"github.com/dagger-inject/dagger-inject/test/program"
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
	// Binary is the program that stands for our image; it is built where this is empty.
	Binary string
	// BalancerDelay is how late the balancer follows the readiness of pods; zero is one second, as for a busy kube-proxy.
	BalancerDelay time.Duration
	// ControlPlane is how etcd and the API server are started. Its Output is not used.
	ControlPlane controlplane.Options
}

// Cluster is a running cluster. Its methods may be called concurrently.
type Cluster struct {
	*controlplane.ControlPlane
	// Kubeconfig is the path of the administrator's kubeconfig file.
	Kubeconfig string
	// Kubelet runs the pods.
	Kubelet *Kubelet

	output    io.Writer
	clientset *kubernetes.Clientset
	network   network
	certs     certManager
	helm      string
	cancel    context.CancelFunc
	processes []*process
}

// Start starts a cluster and waits until pods can be run and certificates issued. Cancelling the context stops it as
// Stop does.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	if opts.Output == nil {
		opts.Output = io.Discard
	}
	began := time.Now()
	assets, err := controlplane.Assets(ctx, opts.Output, "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	if err != nil {
		return nil, fmt.Errorf("finding the cluster's binaries: %w", err)
	}
	tools, err := buildTools(ctx, opts.Output)
	if err != nil {
		return nil, err
	}
	c := &Cluster{output: opts.Output, network: newNetwork(), helm: tools.helm}
	ctx, c.cancel = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	plane := opts.ControlPlane
	plane.Output = opts.Output
	args := map[string][]string{"service-cluster-ip-range": {c.network.services}}
	for name, values := range plane.ExtraArgs {
		args[name] = values
	}
	plane.ExtraArgs = args
	if c.ControlPlane, err = controlplane.Start(ctx, plane); err != nil {
		return nil, err
	}
	if opts.Binary == "" {
		folder, err := c.Folder("image")
		if err != nil {
			return nil, err
		}
		if opts.Binary, err = program.Build(ctx, folder); err != nil {
			return nil, err
		}
	}
	if c.Kubeconfig, err = c.ControlPlane.Kubeconfig(c.Config()); err != nil {
		return nil, err
	}
	if c.clientset, err = kubernetes.NewForConfig(c.Config()); err != nil {
		return nil, err
	}
	if err := c.startComponents(ctx, assets, tools); err != nil {
		return nil, err
	}
	if c.Kubelet, err = startKubelet(ctx, c, opts.Binary); err != nil {
		return nil, err
	}
	if err := startBalancer(ctx, c.clientset, cmp.Or(opts.BalancerDelay, time.Second), opts.Output); err != nil {
		return nil, err
	}
	if err := c.certs.waitReady(ctx); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(opts.Output, "cluster ready after %s: controllers, scheduler, cert-manager %s, %d nodes\n",
		time.Since(began).Round(10*time.Millisecond), tools.certManagerVersion, len(nodeNames))
	return c, nil
}

// startComponents starts what runs besides the API server, as processes.
func (c *Cluster) startComponents(ctx context.Context, assets string, tools tools) error {
	ca := filepath.Join(filepath.Dir(c.Kubeconfig), "ca.crt")
	if err := os.WriteFile(ca, c.Config().CAData, 0o600); err != nil {
		return err
	}
	for _, component := range []struct {
		name, binary string
		args         []string
	}{
		{"kube-controller-manager", filepath.Join(assets, "kube-controller-manager"), []string{
			// No port is needed, and two clusters on a machine would want the same.
			"--kubeconfig", c.Kubeconfig, "--root-ca-file", ca, "--leader-elect=false", "--secure-port=0",
			"--kube-api-qps=500", "--kube-api-burst=1000",
		}},
		{"kube-scheduler", filepath.Join(assets, "kube-scheduler"), []string{
			"--kubeconfig", c.Kubeconfig, "--leader-elect=false", "--secure-port=0",
		}},
	} {
		p, err := c.start(component.name, component.binary, component.args...)
		if err != nil {
			return fmt.Errorf("starting %s: %w", component.name, err)
		}
		c.processes = append(c.processes, p)
	}
	var err error
	c.certs, err = startCertManager(c, tools)
	return err
}

// Stop ends everything and removes its files.
func (c *Cluster) Stop() error {
	c.cancel()
	if c.ControlPlane == nil {
		return nil
	}
	return c.ControlPlane.Stop()
}
