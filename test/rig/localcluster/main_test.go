package localcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/testmain"
)

// shared is the cluster of all tests. One of them at a time has the chart installed.
var shared *Cluster

func TestMain(m *testing.M) {
	os.Exit(testmain.Run(m, func(ctx context.Context) (stop func() error, err error) {
		if shared, err = Start(ctx, Options{Output: os.Stderr}); err != nil {
			return nil, err
		}
		// The chart grants the webhook to read engines there.
		return shared.Stop, shared.CreateNamespace(ctx, "dagger", nil, nil)
	}))
}

// chart is the chart's folder.
const chart = "../../../charts/dagger-inject"

// patience is the time limit of every wait, which takes seconds on an idle machine.
const patience = 3 * time.Minute

// policy names an engine, so that none has to run.
const policy = `policy:
  engine: {transport: tcp, tcp: {address: dagger-engine.dagger.svc:1234}}
  cli: {image: registry.dagger.io/engine:v0.21.8}
  wait: {enabled: false}
`

// chartArguments are the arguments of helm install and upgrade.
func chartArguments(t *testing.T) []string {
	t.Helper()
	values := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(values, []byte(policy+shared.ReleaseValues()), 0o600))
	return []string{chart, "--values", values, "--create-namespace"}
}

// helm runs a Helm command on the release, with more arguments after it.
func helm(t *testing.T, command string, args ...string) {
	t.Helper()
	_, err := shared.Helm(t.Context(),
		append([]string{command, "dagger-inject", "--namespace", ReleaseNamespace, "--wait", "--timeout", patience.String()}, args...)...)
	require.NoError(t, err)
}

// upgrade changes values of the release.
func upgrade(t *testing.T, args ...string) {
	t.Helper()
	helm(t, "upgrade", append(chartArguments(t), args...)...)
}

// install installs the chart until the end of the test.
func install(t *testing.T) {
	t.Helper()
	uninstallAfter(t)
	helm(t, "install", chartArguments(t)...)
}

// uninstallAfter uninstalls the chart at the end of the test.
func uninstallAfter(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(describe(t))
		}
		// The test's context has ended.
		_, err := shared.Helm(context.Background(), "uninstall", "dagger-inject", "--namespace", ReleaseNamespace, "--wait", "--ignore-not-found")
		require.NoError(t, err)
	})
}

// describe returns what a failure is understood from: the webhook's pods and what they printed.
func describe(t *testing.T) string {
	t.Helper()
	replicas, err := shared.Replicas(context.Background())
	if err != nil {
		return err.Error()
	}
	var text strings.Builder
	for _, pod := range replicas {
		logs, err := shared.Kubelet.Logs(pod.Namespace, pod.Name)
		_, _ = fmt.Fprintf(&text, "== %s: %s %+v\n%s %v\n", pod.Name, pod.Status.Phase, pod.Status.ContainerStatuses,
			logs[max(0, len(logs)-4000):], err)
	}
	return text.String()
}

// newNamespace creates a namespace for runners and returns its name.
func newNamespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	name := runners + rand.String(6)
	require.NoError(t, shared.CreateNamespace(t.Context(), name, labels, nil))
	return name
}

// optedIn labels a namespace whose CI jobs are injected.
var optedIn = map[string]string{inject.LabelInject: "true"}

func isInjected(pod *corev1.Pod) bool { return pod.Annotations[inject.AnnotationStatus] != "" }

// requireInjected creates runners on both entries and wants them injected.
func requireInjected(t *testing.T) {
	t.Helper()
	for _, pod := range []*corev1.Pod{RunnerPod(newNamespace(t, nil), true), RunnerPod(newNamespace(t, optedIn), false)} {
		require.NoError(t, shared.Client().Create(t.Context(), pod))
		require.True(t, isInjected(pod), "%v", pod.Annotations)
	}
}
