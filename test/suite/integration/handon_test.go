package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// TestARunnerHandsItsOptInOn creates a runner of the kubernetes mode, and the pod that its hook makes with the template that the
// runner was given: in a namespace without the label, it is injected by its own.
func TestARunnerHandsItsOptInOn(t *testing.T) {
	require.NoError(t, shared.CreateNamespace(t.Context(), "hands-on", nil, nil))
	runner := fixturePod(t, "gha-kubernetes")
	runner.Namespace, runner.Spec.ServiceAccountName = "hands-on", ""
	created := create(t, "hands-on", asJSON(t, runner), "")
	require.Equal(t, http.StatusCreated, created.code, created.status.Message)
	require.Empty(t, created.warnings)

	var template struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	require.NoError(t, json.Unmarshal([]byte(created.pod.Annotations[inject.AnnotationHookTemplate]), &template))
	workflow := fixturePod(t, "gha-hooks-v070-workflow")
	workflow.Namespace = "hands-on"
	for key, value := range template.Metadata.Labels {
		workflow.Labels[key] = value
	}
	made := create(t, "hands-on", asJSON(t, workflow), "")
	require.Equal(t, http.StatusCreated, made.code, made.status.Message)
	require.True(t, injected(made))

	// What cannot be done costs no job: the policy is now one under which the runner itself would be refused.
	shared.setPolicies("hands-on", func() *inject.Policies {
		return inject.NewPolicies(config.FromFile("broken", []byte("broken"), config.OriginCluster), nil, nil)
	})
	workflow.Name = "another-workflow"
	admitted := create(t, "hands-on", asJSON(t, workflow), "")
	require.Equal(t, http.StatusCreated, admitted.code, admitted.status.Message)
	require.False(t, injected(admitted))
	require.Contains(t, admitted.warnings[0], "admitted without an engine")
	runner.Name = "another-runner"
	require.Equal(t, http.StatusServiceUnavailable, create(t, "hands-on", asJSON(t, runner), "").code)
}

func fixturePod(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	text, err := os.ReadFile("../../data/fixtures/" + name + "/pod.yaml")
	require.NoError(t, err)
	pod := &corev1.Pod{}
	require.NoError(t, yaml.UnmarshalStrict(text, pod))
	return pod
}
