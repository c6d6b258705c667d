package e2e

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestARunnerHandsItsOptInOn has a runner of the kubernetes mode show the file that its hook would read, and runs the pod that the hook
// would make with it: in a namespace without the label, that pod reaches the engine.
func TestARunnerHandsItsOptInOn(t *testing.T) {
	deployEngine(t, defaultEngine, nil)
	engine := readyEngine(t)
	namespace := newNamespace(t, nil, "")
	for name, change := range map[string]func(*corev1.Pod){"as root": nil, "as ARC's own user": as(1001)} {
		t.Run(name, func(t *testing.T) {
			runner := jobPod(t, "ARC", namespace, `cat "$ACTIONS_RUNNER_CONTAINER_HOOK_TEMPLATE"`)
			runner.Spec.Containers[0].Env = append(runner.Spec.Containers[0].Env,
				corev1.EnvVar{Name: "ACTIONS_RUNNER_CONTAINER_HOOKS", Value: "/home/runner/k8s/index.js"})
			if change != nil {
				change(runner)
			}
			output := runJob(t, runner, "ARC")
			var template struct {
				Metadata metav1.ObjectMeta `json:"metadata"`
			}
			require.NoError(t, json.Unmarshal([]byte(output), &template), output)

			workflow := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: namespace, GenerateName: "workflow-", Labels: template.Metadata.Labels, Annotations: template.Metadata.Annotations,
				},
				Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "job"}}},
			}
			workflow.Labels["runner-pod"] = runner.Name
			shell(&workflow.Spec.Containers[0], askEngine)
			createPod(t, workflow)
			ended, answer := awaitEnd(t, workflow, "job")
			require.Zero(t, ended.ExitCode, answer)
			requireAnswer(t, answer, engine, "v0.21.8")
		})
	}
}
