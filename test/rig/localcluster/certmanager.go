package localcluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/process"
)

// certManager is cert-manager, as the program of test/rig/certmanager runs it.
type certManager struct{ process *process.Process }

func (c *Cluster) startCertManager(context.Context) (err error) {
	c.certs.process, err = c.start("cert-manager", c.programs.certManager, "run", "--kubeconfig", c.Kubeconfig,
		"--crds", c.programs.certManagerCRDs)
	if err != nil {
		return fmt.Errorf("starting cert-manager: %w", err)
	}
	return nil
}

// waitReady waits until its custom resources are served and its controllers run.
func (m *certManager) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if strings.Contains("\n"+m.process.Output(), "\nready\n") {
			return nil
		}
		select {
		case <-tick.C:
		case <-m.process.Done():
			return fmt.Errorf("cert-manager ended: %w\n%s", m.process.Err(), m.process.Output())
		case <-ctx.Done():
			return fmt.Errorf("cert-manager is not ready: %w\n%s", ctx.Err(), m.process.Output())
		}
	}
}

// Renew makes cert-manager reissue a Certificate, as cmctl renew does, and returns once its Secret has the new certificate.
func (c *Cluster) Renew(ctx context.Context, namespace, certificate string) error {
	cmd := exec.CommandContext(ctx, c.programs.certManager, "renew", "--kubeconfig", c.Kubeconfig, "--namespace", namespace, certificate)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("renewing the certificate %s/%s: %w\n%s", namespace, certificate, err, out)
	}
	return nil
}
