package integration

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dagger-inject/dagger-inject/inject"
)

const argoWorkflow = `
apiVersion: argoproj.io/v1alpha1
kind: Workflow
spec:
  entrypoint: build
  podMetadata: {labels: {dagger.io/inject: "true"}}
  templates:
  - name: build
    container: {image: "registry.example.com/ci:1", command: [dagger, call, build]}
    sidecars: [{name: db, image: "registry.example.com/db:1", command: [db]}]
`

const argoLabel = "workflows.argoproj.io/workflow"

// argoStatus is what tests look at of a Workflow's status.
type argoStatus struct {
	Phase   string
	Message string
	Nodes   map[string]struct{ Phase, Message string }
}

// node returns the phase and the message of the Workflow's one node.
func (s argoStatus) node() (phase, message string) {
	for _, node := range s.Nodes {
		phase, message = node.Phase, node.Message
	}
	return phase, message
}

// TestArgo lets the controller of Argo Workflows create pods.
func TestArgo(t *testing.T) {
	source := flowModule(t, "argo", "github.com/argoproj/argo-workflows/v3")
	t.Parallel() // with the tests of the other controllers, which wait too
	require.NoError(t, shared.CreateNamespace(t.Context(), "argo", nil, nil))
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "argo", Name: "workflow-controller-configmap"}}
	require.NoError(t, shared.Client().Create(t.Context(), settings))
	startFlow(t, "argo", "argo", filepath.Join(source, "manifests", "base", "crds", "minimal", "argoproj.io_*.yaml"))

	t.Run("the main container of a Workflow is injected", testArgoWorkflow)
	t.Run("optional is not refused", func(t *testing.T) {
		t.Parallel()
		flowObstacles["policy"](t, "argo-optional")
		createFlow(t, "argo-optional", "flow", strings.Replace(argoWorkflow, `"true"`, `"optional"`, 1))
		require.Empty(t, flowTargets(t, flowPod(t, "argo-optional", argoLabel, "flow")))
	})
	for obstacle, message := range map[string]string{
		"policy": "The injection policy is invalid",
		"outage": "connect: connection refused",
		"quota":  "exceeded quota",
	} {
		t.Run("tried again, "+obstacle, func(t *testing.T) {
			t.Parallel()
			testArgoTriesAgain(t, obstacle, message)
		})
	}
	for obstacle, message := range map[string]string{
		"silence":  "context deadline exceeded",
		"security": "violates PodSecurity",
	} {
		t.Run("failed for good, "+obstacle, func(t *testing.T) {
			t.Parallel()
			testArgoFailsForGood(t, obstacle, message)
		})
	}
}

// testArgoWorkflow: the Workflow follows its pod as if nothing had been added.
func testArgoWorkflow(t *testing.T) {
	t.Parallel()
	require.NoError(t, shared.CreateNamespace(t.Context(), "argo-run", nil, nil))
	flow := createFlow(t, "argo-run", "flow", argoWorkflow)
	pod := flowPod(t, "argo-run", argoLabel, "flow")
	require.Equal(t, []string{"main"}, flowTargets(t, pod), "not wait, which comes first, and not the sidecar")
	require.Equal(t, []string{"wait", "main", "db"}, flowNames(pod.Spec.Containers))
	require.Equal(t, []string{"dagger-cli", "init"}, flowNames(pod.Spec.InitContainers))
	require.Equal(t, "true", pod.Labels[inject.LabelInject])

	playFlow(t, pod, corev1.PodRunning, flowRuns)
	requireArgo(t, flow, "Running", "Running")
	playFlow(t, pod, corev1.PodSucceeded, flowEnded)
	requireArgo(t, flow, "Succeeded", "Succeeded")
}

// testArgoTriesAgain: the Workflow waits, says why, and goes on once the cause is mended.
func testArgoTriesAgain(t *testing.T, obstacle, message string) {
	namespace := "argo-" + obstacle
	mend := flowObstacles[obstacle](t, namespace)
	flow := createFlow(t, namespace, "flow", argoWorkflow)
	status := requireArgo(t, flow, "Running", "Pending")
	_, said := status.node()
	require.Contains(t, said, message)
	require.Zero(t, flowPods(t, namespace))
	if obstacle == "policy" {
		flowSoon(t, "the pod is tried again", func(context.Context) error {
			if shared.calls(namespace) < 3 {
				return errors.New("it is not")
			}
			return nil
		})
	}

	mend(t)
	mended := time.Now()
	require.Equal(t, []string{"main"}, flowTargets(t, flowPod(t, namespace, argoLabel, "flow")))
	t.Logf("its pod was created %s after the mend", time.Since(mended).Round(time.Second/10))
	requireArgo(t, flow, "Running", "Pending")
}

// testArgoFailsForGood: what Argo does not take for transient ends the Workflow.
func testArgoFailsForGood(t *testing.T, obstacle, message string) {
	namespace := "argo-" + obstacle
	mend := flowObstacles[obstacle](t, namespace)
	flow := createFlow(t, namespace, "flow", argoWorkflow)
	status := requireArgo(t, flow, "Error", "Error")
	_, said := status.node()
	require.Contains(t, said, message)

	mend(t)
	// The next Workflow has its pod, and by then the controller has nothing left to do for the first.
	createFlow(t, namespace, "after", argoWorkflow)
	require.Equal(t, []string{"main"}, flowTargets(t, flowPod(t, namespace, argoLabel, "after")))
	require.Equal(t, 1, flowPods(t, namespace))
	requireArgo(t, flow, "Error", "Error")
}

// requireArgo waits until a Workflow and its one node are in phases.
func requireArgo(t *testing.T, flow *unstructured.Unstructured, phase, node string) (status argoStatus) {
	t.Helper()
	flowSoon(t, "the Workflow is "+phase, func(ctx context.Context) error {
		status = argoStatus{}
		if err := readFlow(ctx, flow, &status); err != nil {
			return err
		}
		have, message := status.node()
		return flowIs("the phase of it and of its node ("+status.Message+message+")", status.Phase+" "+have, phase+" "+node)
	})
	return status
}
