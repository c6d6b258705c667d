package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

// TestTheInjectedWaitIsACommandLineOfOurs runs what pods are given: an argument that is not accepted would keep them from
// starting, whatever onTimeout says.
func TestTheInjectedWaitIsACommandLineOfOurs(t *testing.T) {
	ran := 0
	for _, c := range fixtures.All(t) {
		var pod corev1.Pod
		require.NoError(t, yaml.Unmarshal([]byte(c.Expected("expected.yaml")), &pod))
		for _, container := range pod.Spec.InitContainers {
			if container.Name != "dagger-wait" {
				continue
			}
			args := container.Args
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "$(DAGGER_NODE_IP)", "127.0.0.1") // as the kubelet does
			}
			code, _, report := execute(t, "", append(args, "--timeout", "1ms", "--termination-log", "")...)
			require.NotEqual(t, exitBadInput, code, report)
			require.NotEqual(t, exitFailure, code, report)
			require.Contains(t, report, "no engine to use at ", c.Name)
			ran++
		}
	}
	require.Greater(t, ran, 5)
}
