package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// TestNetworkPoliciesOfEngines reads the official chart's own manifests.
func TestNetworkPoliciesOfEngines(t *testing.T) {
	run := func(chart string, more ...string) (int, string, string) {
		file := filepath.Join(repository, "test/data/engines", chart, "manifests.yaml")
		return execute(t, "", append([]string{"engine", "-f", file, "-o", "networkpolicy"}, more...)...)
	}
	code, out, report := run("v0.21.8-port")
	require.Zero(t, code, report)
	var p networkingv1.NetworkPolicy
	require.NoError(t, yaml.UnmarshalStrict([]byte(out), &p))
	require.Equal(t, "dagger", p.Namespace)
	require.Equal(t, map[string]string{"name": "dagger-dagger-helm-engine"}, p.Spec.PodSelector.MatchLabels)
	require.Len(t, p.Spec.Ingress[0].From, 2)
	require.Len(t, p.Spec.Ingress[0].Ports, 1)
	require.Contains(t, report, "the cluster's policy is not known")

	code, _, report = run("v0.21.8-default")
	require.Equal(t, exitFailure, code)
	require.Contains(t, report, "DaemonSet dagger/dagger-dagger-helm-engine listens on no port")
	code, _, report = run("v0.21.8-port", "--watch")
	require.Equal(t, exitBadInput, code, report)
}
