package explain_test

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/explain"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

// explainer explains with a case's policies and namespace.
func explainer(t testing.TB, c *fixtures.Case) *explain.Explainer {
	t.Helper()
	namespace := c.Namespace
	namespace.APIVersion, namespace.Kind, namespace.Name = "v1", "Namespace", c.PodNamespace(t)
	policies := c.Policies(t)
	return &explain.Explainer{
		Reader: objects(t, &namespace), Offline: true, Cluster: c.Cluster(t), Version: "dev",
		Policies: func(inject.Engines) *inject.Policies { return policies },
		Ready:    func([]string) (engine.Ready, error) { return c.Ready(t), nil },
	}
}

func objects(t testing.TB, all ...any) cluster.Objects {
	t.Helper()
	var o cluster.Objects
	for _, one := range all {
		text, err := json.Marshal(one)
		require.NoError(t, err)
		var object unstructured.Unstructured
		require.NoError(t, json.Unmarshal(text, &object.Object))
		o = append(o, object)
	}
	return o
}

// existing explains a pod that exists.
func existing(t testing.TB, e *explain.Explainer, pod map[string]any) *explain.Explanation {
	t.Helper()
	with := *e
	object := unstructured.Unstructured{Object: pod}
	if object.GetName() == "" {
		object.SetName(object.GetGenerateName() + "x7k2m") // as the API server does
	}
	with.Reader = append(e.Reader.(cluster.Objects), object)
	explanation, err := with.Pod(t.Context(), object.GetNamespace(), object.GetName())
	require.NoError(t, err)
	return explanation
}

// TestAnInjectedPodIsExplainedAsTheOneThatCameIn takes every fixture as it leaves admission and explains it: what was added is
// recognised, so that the decision is the one that was made.
func TestAnInjectedPodIsExplainedAsTheOneThatCameIn(t *testing.T) {
	explained := 0
	for _, c := range fixtures.All(t) {
		golden := c.Expected("expected.yaml")
		if golden == "" {
			continue
		}
		var pod map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(golden), &pod))
		if _, injected := pod["metadata"].(map[string]any)["annotations"].(map[string]any)[inject.AnnotationStatus]; !injected ||
			pod["kind"] != "Pod" {
			continue
		}
		e := explainer(t, &c)
		explanation := existing(t, e, pod)
		require.Contains(t, c.Expected("expected.txt"), string(explanation.Decision)+" ("+string(explanation.Reason)+"): ", c.Name)
		if explanation.Outcome == explain.OutcomeInjected {
			if c.Name != "cache-with-node-name" { // who set it, the scheduler or the pod's creator, cannot be told
				require.Empty(t, explanation.Recorded.Differs, c.Name)
			}
			explained++
		}
	}
	require.Greater(t, explained, 20)
}

// TestAnyPodIsExplained changes real pods at random places: whatever can be decided can be explained.
func TestAnyPodIsExplained(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for _, c := range fixtures.All(t) {
		e := explainer(t, &c)
		original := string(c.Pod(t))
		rng := rand.New(rand.NewPCG(1, 1))
		for range rounds {
			text := []byte(original)
			// One byte of a value: the text often stays JSON, of another type or with another word.
			text[rng.IntN(len(text))] = "0123456789{}[]\"tfn,: "[rng.IntN(21)]
			explainText(t, e, string(text))
		}
		explainText(t, e, original)
	}
}

func explainText(t testing.TB, e *explain.Explainer, pod string) {
	root, err := new(rawjson.Document).Parse(pod)
	if err != nil {
		return
	}
	explanation, found := e.Object(t.Context(), root, "Pod", "ci")
	require.True(t, found)
	require.NotEmpty(t, explanation.Outcome)
	require.NoError(t, explanation.Text(io.Discard))
	_, err = json.Marshal(explanation)
	require.NoError(t, err)
	var object map[string]any
	if json.Unmarshal([]byte(pod), &object) != nil {
		return
	}
	metadata, isObject := object["metadata"].(map[string]any)
	if !isObject {
		return
	}
	// As one that exists: only what the API server would have stored is met in a cluster.
	if json.Unmarshal([]byte(pod), &corev1.Pod{}) == nil {
		metadata["namespace"], metadata["name"], object["apiVersion"], object["kind"] = "ci", "p", "v1", "Pod"
		require.NoError(t, existing(t, e, object).Text(io.Discard))
	}
}

// FuzzExplain explains any JSON as a pod, and as one that exists.
func FuzzExplain(f *testing.F) {
	for _, c := range fixtures.All(f) {
		f.Add(string(c.Pod(f)))
	}
	f.Add(`{"metadata":{"annotations":{"dagger.io/status":"{\"volumes\":[1]}"},"labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{}]}}`)
	policies := inject.NewPolicies(config.BuiltIn(), nil, nil)
	e := &explain.Explainer{
		Reader: cluster.Objects{}, Offline: true, Policies: func(inject.Engines) *inject.Policies { return policies },
	}
	f.Fuzz(func(t *testing.T, pod string) { explainText(t, e, pod) })
}

// TestAStatusThatAnybodyWroteIsOnlyShown has a pod whose annotation is made up.
func TestAStatusThatAnybodyWroteIsOnlyShown(t *testing.T) {
	policies := inject.NewPolicies(config.BuiltIn(), nil, nil)
	e := &explain.Explainer{
		Reader: cluster.Objects{}, Offline: true, Policies: func(inject.Engines) *inject.Policies { return policies },
	}
	for status, want := range map[string]string{
		`{`:                         "is not what dagger-inject writes",
		`[]`:                        "is not what dagger-inject writes",
		`{"transport":"telepathy"}`: "transport: telepathy, now socket",
	} {
		var pod map[string]any
		require.NoError(t,
			yaml.Unmarshal([]byte(`{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ci, labels: {dagger.io/inject: "true"}}, spec: {containers: [{name: a}]}}`), &pod))
		pod["metadata"].(map[string]any)["annotations"] = map[string]any{inject.AnnotationStatus: status}
		var text strings.Builder
		require.NoError(t, existing(t, e, pod).Text(&text))
		require.Contains(t, text.String(), want)
	}
}
