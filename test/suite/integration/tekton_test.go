package integration

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
)

const tektonTaskRun = `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {labels: {dagger.io/inject: "true", team: a}}
spec:
  retries: 0
  taskSpec:
    sidecars: [{name: db, image: "registry.example.com/db:1"}]
    steps:
    - {name: clone, image: "registry.example.com/git:1", command: [git], args: [clone]}
    - {name: build, image: "registry.example.com/ci:1", script: dagger call build}
`

const tektonPipelineRun = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {labels: {dagger.io/inject: "true"}}
spec:
  pipelineSpec:
    tasks:
    - name: ci
      taskSpec: {steps: [{name: build, image: "registry.example.com/ci:1", script: dagger call build}]}
`

const tektonLabelledTask = `
apiVersion: tekton.dev/v1
kind: Task
metadata: {labels: {dagger.io/inject: "true"}, annotations: {dagger.io/containers: step-build}}
spec:
  steps:
  - {name: clone, image: "registry.example.com/git:1", command: [git], args: [clone]}
  - {name: build, image: "registry.example.com/ci:1", script: dagger call build}
`

const tektonRunOfTask = `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {}
spec: {taskRef: {name: builds}}
`

const tektonLabelledEmbeddedTask = `
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {}
spec:
  pipelineSpec:
    tasks:
    - name: ci
      taskSpec:
        metadata: {labels: {dagger.io/inject: "true"}}
        steps: [{name: build, image: "registry.example.com/ci:1", script: dagger call build}]
`

// tektonStatus is what tests look at of a TaskRun's status.
type tektonStatus struct {
	PodName    string
	Conditions []metav1.Condition
	Steps      []struct {
		Container  string
		Running    *struct{}
		Terminated *struct{ Reason string }
	}
	RetriesStatus []struct{ Conditions []metav1.Condition }
}

// succeeded returns the one condition of a TaskRun.
func (s tektonStatus) succeeded() metav1.Condition {
	if len(s.Conditions) == 0 {
		return metav1.Condition{}
	}
	return s.Conditions[0]
}

// TestTekton lets the controllers of Tekton Pipelines create pods.
func TestTekton(t *testing.T) {
	source := flowModule(t, "tekton", "github.com/tektoncd/pipeline")
	t.Parallel() // with the tests of the other controllers, which wait too
	const namespace = "tekton-pipelines"
	require.NoError(t, shared.CreateNamespace(t.Context(), namespace, nil, nil))
	for _, text := range flowFiles(t, filepath.Join(source, "config", "config-*.yaml")) {
		cm := &corev1.ConfigMap{}
		require.NoError(t, yaml.Unmarshal(text, cm))
		require.NoError(t, shared.Client().Create(t.Context(), cm))
	}
	startFlow(t, "tekton", namespace, filepath.Join(source, "config", "300-crds", "*.yaml"))

	t.Run("the steps of a TaskRun are injected", testTektonTaskRun)
	t.Run("a PipelineRun hands its label on", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, shared.CreateNamespace(t.Context(), "tekton-pipeline-run", nil, nil))
		createFlow(t, "tekton-pipeline-run", "run", tektonPipelineRun)
		require.Equal(t, []string{"step-build"}, flowTargets(t, flowPod(t, "tekton-pipeline-run", "tekton.dev/pipelineRun", "run")))
	})
	t.Run("a Task hands its label and annotations on, as migrate writes them", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, shared.CreateNamespace(t.Context(), "tekton-task", nil, nil))
		createFlow(t, "tekton-task", "builds", tektonLabelledTask)
		createFlow(t, "tekton-task", "run", tektonRunOfTask)
		require.Equal(t, []string{"step-build"}, flowTargets(t, flowPod(t, "tekton-task", "tekton.dev/taskRun", "run")))
	})
	t.Run("a Task in a PipelineRun hands its label on, as migrate writes it", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, shared.CreateNamespace(t.Context(), "tekton-embedded-task", nil, nil))
		createFlow(t, "tekton-embedded-task", "run", tektonLabelledEmbeddedTask)
		require.Equal(t, []string{"step-build"},
			flowTargets(t, flowPod(t, "tekton-embedded-task", "tekton.dev/pipelineRun", "run")))
	})
	t.Run("optional is not refused", func(t *testing.T) {
		t.Parallel()
		flowObstacles["policy"](t, "tekton-optional")
		createFlow(t, "tekton-optional", "run", strings.Replace(tektonTaskRun, `"true"`, `"optional"`, 1))
		require.Empty(t, flowTargets(t, flowPod(t, "tekton-optional", "tekton.dev/taskRun", "run")))
	})
	t.Run("a quota is waited for", func(t *testing.T) {
		t.Parallel()
		flowObstacles["quota"](t, "tekton-quota")
		run := createFlow(t, "tekton-quota", "run", tektonTaskRun)
		requireTekton(t, run, &tektonStatus{}, "Unknown", "ExceededResourceQuota") // and its pod is tried again every minute
	})
	for obstacle, want := range map[string]struct{ reason, message string }{
		"policy":   {"PodCreationFailed", "The injection policy is invalid"},
		"outage":   {"PodCreationFailed", "connect: connection refused"},
		"silence":  {"PodCreationFailed", "context deadline exceeded"},
		"security": {"PodAdmissionFailed", "violates PodSecurity"},
	} {
		t.Run("refused, "+obstacle, func(t *testing.T) {
			t.Parallel()
			testTektonFailsForGood(t, obstacle, want.reason, want.message)
		})
	}
}

// testTektonTaskRun: the TaskRun follows what we added to its pod, from its start to its end, and the steps alone are its steps.
func testTektonTaskRun(t *testing.T) {
	t.Parallel()
	require.NoError(t, shared.CreateNamespace(t.Context(), "tekton-run", nil, nil))
	run := createFlow(t, "tekton-run", "run", tektonTaskRun)
	pod := flowPod(t, "tekton-run", "tekton.dev/taskRun", "run")
	require.Equal(t, []string{"step-clone", "step-build"}, flowTargets(t, pod), "neither the sidecar nor Tekton's init containers")
	require.Equal(t, []string{"step-clone", "step-build", "sidecar-db"}, flowNames(pod.Spec.Containers))
	require.Equal(t, []string{"dagger-cli", "prepare", "place-scripts"}, flowNames(pod.Spec.InitContainers))
	require.Equal(t, "a", pod.Labels["team"])
	require.Equal(t, "true", pod.Labels[inject.LabelInject])

	playFlow(t, pod, corev1.PodRunning, flowRuns)
	var status tektonStatus
	flowSoon(t, "the TaskRun runs", func(ctx context.Context) error {
		if err := readFlow(ctx, run, &status); err != nil {
			return err
		}
		return flowIs("its reason", status.succeeded().Reason, "Running")
	})
	require.Len(t, status.Steps, 2)
	flowSoon(t, "the first step may start", func(ctx context.Context) error {
		if err := shared.Client().Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		return flowIs("the annotation that it waits for", pod.Annotations["tekton.dev/ready"], "READY")
	})

	playFlow(t, pod, corev1.PodRunning, func(container string) corev1.ContainerState {
		if container == "sidecar-db" {
			return flowRuns(container)
		}
		return flowEnded(container)
	})
	requireTekton(t, run, &status, "True", "Succeeded")
	require.Len(t, status.Steps, 2)
	require.Empty(t, status.RetriesStatus)
	// Tekton ends a sidecar with an update of its image, on which nothing of ours is called.
	flowSoon(t, "the sidecar is stopped", func(ctx context.Context) error {
		if err := shared.Client().Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		return flowIs("its image", pod.Spec.Containers[2].Image, "tekton.example/nop")
	})
	require.Equal(t, []string{"step-clone", "step-build"}, flowTargets(t, pod))
}

// testTektonFailsForGood: whatever but a quota refuses the pod, the TaskRun has failed. Its retries come at once, before anything can be
// mended.
func testTektonFailsForGood(t *testing.T, obstacle, reason, message string) {
	namespace := "tekton-" + obstacle
	mend := flowObstacles[obstacle](t, namespace)
	run := createFlow(t, namespace, "refused", strings.Replace(tektonTaskRun, "retries: 0", "retries: 2", 1))
	var status tektonStatus
	requireTekton(t, run, &status, "False", reason)
	require.Contains(t, status.succeeded().Message, message)
	require.Len(t, status.RetriesStatus, 2)
	for _, retry := range status.RetriesStatus {
		require.Equal(t, reason, tektonStatus{Conditions: retry.Conditions}.succeeded().Reason)
	}
	require.Zero(t, flowPods(t, namespace))

	if reason == "PodAdmissionFailed" {
		return // Tekton does not call this error permanent: its queue may, for a moment, still try the TaskRun as it was before it failed
	}
	mend(t)
	// The next TaskRun has its pod, and by then the controller has nothing left to do for the first.
	createFlow(t, namespace, "after", tektonTaskRun)
	require.NotEmpty(t, flowTargets(t, flowPod(t, namespace, "tekton.dev/taskRun", "after")))
	require.Equal(t, 1, flowPods(t, namespace))
	requireTekton(t, run, &status, "False", reason)
}

// requireTekton waits until a TaskRun is in a condition.
func requireTekton(t *testing.T, run *unstructured.Unstructured, status *tektonStatus, succeeded, reason string) {
	t.Helper()
	flowSoon(t, "the TaskRun is "+reason, func(ctx context.Context) error {
		*status = tektonStatus{}
		if err := readFlow(ctx, run, status); err != nil {
			return err
		}
		have := status.succeeded()
		return flowIs("its condition", fmt.Sprintf("%s %s", have.Status, have.Reason), succeeded+" "+reason)
	})
}
