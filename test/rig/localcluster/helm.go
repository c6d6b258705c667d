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
	cmd := exec.CommandContext(ctx, c.programs.helm, args...)
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

// ReleaseValues returns the chart's values that fit it to this cluster: the image, and free ports.
func (c *Cluster) ReleaseValues() string {
	p := c.network.ports
	return fmt.Sprintf(`image: {registry: %s, repository: %s, tag: %s}
service: {port: %d}
webhook: {port: %d}
metrics: {port: %d}
probes: {port: %d}
`, ImageRegistry, ImageRepository, ImageTag, p.service, p.webhook, p.metrics, p.probes)
}
