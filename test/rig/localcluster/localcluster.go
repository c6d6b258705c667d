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
	Kubelet *Kubelet

	output    io.Writer
	clientset *kubernetes.Clientset
	network   network
	balancer  *balancer
	certs     certManager
	helm      string
	cancel    context.CancelFunc
}

// Start starts a cluster and waits until pods can be run and certificates issued. Cancelling the context stops it as
// Stop does.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	if opts.Output == nil {
		opts.Output = io.Discard
	}
	began := time.Now()
	assets, err := tools.Build(ctx, opts.Output, tools.Kubernetes, "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	if err != nil {
		return nil, fmt.Errorf("finding the cluster's binaries: %w", err)
	}
	helm, err := tools.Build(ctx, opts.Output, tools.Chart, "helm")
	if err != nil {
		return nil, err
	}
	certs := certManager{}
	if certs.binary, certs.crds, err = tools.CertManager(ctx, opts.Output); err != nil {
		return nil, err
	}
	c := &Cluster{output: opts.Output, helm: filepath.Join(helm, "helm"), certs: certs}
	ctx, c.cancel = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.network, err = newNetwork(); err != nil {
		return nil, err
	}
	plane := controlplane.Options{Output: opts.Output, ExtraArgs: map[string][]string{"service-cluster-ip-range": {c.network.services}}}
	if c.ControlPlane, err = controlplane.Start(ctx, plane); err != nil {
		return nil, err
	}
	image, err := c.Folder("image")
	if err != nil {
		return nil, err
	}
	binary, err := program.Build(ctx, image)
	if err != nil {
		return nil, err
	}
	if c.Kubeconfig, err = c.ControlPlane.Kubeconfig(c.Config()); err != nil {
		return nil, err
	}
	if c.clientset, err = kubernetes.NewForConfig(c.Config()); err != nil {
		return nil, err
	}
	if err := c.startComponents(ctx, assets); err != nil {
		return nil, err
	}
	if c.Kubelet, err = startKubelet(ctx, c, binary); err != nil {
		return nil, err
	}
	if c.balancer, err = startBalancer(ctx, c.clientset, cmp.Or(opts.BalancerDelay, time.Second), opts.Output); err != nil {
		return nil, err
	}
	if err := c.certs.waitReady(ctx); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(opts.Output, "cluster ready after %s: controllers, scheduler, cert-manager, %d nodes\n",
		time.Since(began).Round(10*time.Millisecond), len(nodeNames))
	return c, nil
}

// startComponents starts what runs besides the API server, as processes.
func (c *Cluster) startComponents(ctx context.Context, assets string) error {
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
		if _, err := c.start(component.name, component.binary, component.args...); err != nil {
			return fmt.Errorf("starting %s: %w", component.name, err)
		}
	}
	return c.startCertManager()
}

// Stop ends everything and removes its files.
func (c *Cluster) Stop() error {
	c.cancel()
	if c.ControlPlane == nil {
		return nil
	}
	return c.ControlPlane.Stop()
}
