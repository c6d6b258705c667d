package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// chartWorkloads reads the workloads and Services of one of the chart's outputs.
func chartWorkloads(t *testing.T, file string) *Workloads {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var w Workloads
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return &w
		} else {
			require.NoError(t, err)
		}
		if len(raw) == 0 {
			continue // a document of comments
		}
		var kind struct{ Kind string }
		require.NoError(t, json.Unmarshal(raw, &kind))
		switch kind.Kind {
		case "DaemonSet":
			w.DaemonSets = append(w.DaemonSets, appsv1.DaemonSet{})
			require.NoError(t, json.Unmarshal(raw, &w.DaemonSets[len(w.DaemonSets)-1]))
		case "StatefulSet":
			w.StatefulSets = append(w.StatefulSets, appsv1.StatefulSet{})
			require.NoError(t, json.Unmarshal(raw, &w.StatefulSets[len(w.StatefulSets)-1]))
		case "Service":
			w.Services = append(w.Services, corev1.Service{})
			require.NoError(t, json.Unmarshal(raw, &w.Services[len(w.Services)-1]))
		}
	}
}

func TestWhatIsTrimmedIsNotRead(t *testing.T) {
	files, err := filepath.Glob("../../test/data/engines/*/manifests.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			w := chartWorkloads(t, file)
			secrets := []corev1.LocalObjectReference{{Name: "pull"}}
			for i := range w.DaemonSets {
				w.DaemonSets[i].Spec.Template.Spec.ImagePullSecrets = secrets
			}
			whole, err := w.Discover(labels.Everything())
			require.NoError(t, err)
			for i := range w.DaemonSets {
				require.True(t, IsEngine(&w.DaemonSets[i]))
				Trim(&w.DaemonSets[i])
				require.True(t, IsEngine(&w.DaemonSets[i]), "a trimmed one still is")
			}
			for i := range w.StatefulSets {
				require.True(t, IsEngine(&w.StatefulSets[i]))
				Trim(&w.StatefulSets[i])
			}
			for i := range w.Services {
				require.False(t, IsEngine(&w.Services[i]))
				Trim(&w.Services[i])
			}
			trimmed, err := w.Discover(labels.Everything())
			require.NoError(t, err)
			require.Equal(t, len(whole.Engines), len(trimmed.Engines))
			for i, e := range whole.Engines {
				require.Equal(t, e.Rollout.Readiness(), trimmed.Engines[i].Rollout.Readiness(), "of a status no more is kept")
				e.Rollout = trimmed.Engines[i].Rollout
				require.Equal(t, e, trimmed.Engines[i])
				require.Equal(t, e.Notes, trimmed.Engines[i].Notes)
			}
		})
	}
}

func TestOfWhatIsNoEngineHardlyAnythingIsKept(t *testing.T) {
	d := appsv1.Deployment{}
	d.Name, d.Namespace, d.Labels, d.ResourceVersion = "web", "shop", map[string]string{"app": "web"}, "7"
	d.Annotations = map[string]string{"a": strings.Repeat("x", 1<<10)}
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "web", Image: "nginx", Command: []string{strings.Repeat("x", 1<<10)}}}
	d.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "v"}}
	d.Status.Replicas = 3
	Trim(&d)
	require.False(t, IsEngine(&d))
	want := appsv1.Deployment{}
	want.Name, want.Namespace, want.Labels, want.ResourceVersion = "web", "shop", map[string]string{"app": "web"}, "7"
	require.Equal(t, want, d)
}

func TestOfAnObjectThatIsTooLargeForAnEngineOnlyTheNameIsKept(t *testing.T) {
	long := strings.Repeat("x", maxSize)
	container := corev1.Container{Name: "dagger-engine", Image: "registry.dagger.io/engine:v0.21.8", Args: []string{long}}
	d := appsv1.Deployment{}
	d.Name, d.Namespace, d.ResourceVersion = "large", "team", "7"
	kept := d
	d.Spec.Template.Spec.Containers = []corev1.Container{container}
	Trim(&d)
	require.Equal(t, kept, d)
	require.False(t, IsEngine(&d))

	s := corev1.Service{}
	s.Name, s.Labels = "large", map[string]string{"a": long}
	Trim(&s)
	require.Equal(t, "large", s.Name)
	require.Less(t, s.Size(), 100)
}
