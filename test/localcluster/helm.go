package localcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Helm runs the Helm command as the cluster's administrator and returns what it printed.
func (c *Cluster) Helm(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.helm, args...)
	home := filepath.Join(filepath.Dir(c.Kubeconfig), "helm")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig,
		"HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}

// ServicePort is the port of the webhook's Service: one that needs no privilege.
const ServicePort = 8443

// ReleaseValues are the arguments of helm install and upgrade that fit the chart to this cluster.
func ReleaseValues() []string {
	return []string{
		"--set", "image.registry=" + ImageRegistry, "--set", "image.repository=" + ImageRepository, "--set", "image.tag=" + ImageTag,
		"--set", fmt.Sprintf("service.port=%d", ServicePort),
	}
}
