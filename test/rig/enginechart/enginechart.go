// Package enginechart gives tests releases of the official Dagger chart, from its output in test/data/engines.
package enginechart

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Namespace is where the releases are.
const Namespace = "dagger"

// DefaultRelease is the name of the release that most folders hold.
const DefaultRelease = "dagger"

// fullName is what the chart calls the objects of a release.
func fullName(release string) string {
	const chart = "dagger-helm"
	if strings.Contains(release, chart) {
		return release
	}
	return release + "-" + chart
}

// Workload is the name of the engine's workload in a release.
func Workload(release string) string { return fullName(release) + "-engine" }

// Release returns the objects of a release: those of a folder of test/data/engines that holds DefaultRelease, under another name.
// Two of them stand in one namespace, as after two times "helm install".
func Release(folder, name string) ([]*unstructured.Unstructured, error) {
	_, file, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "..", "data", "engines", folder, "manifests.yaml"))
	if err != nil {
		return nil, err
	}
	const instance = "app.kubernetes.io/instance: "
	text = bytes.ReplaceAll(text, []byte(fullName(DefaultRelease)), []byte(fullName(name)))
	text = bytes.ReplaceAll(text, []byte(instance+DefaultRelease+"\n"), []byte(instance+name+"\n"))
	var objects []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := documents.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if object.Object != nil {
			object.SetNamespace(Namespace)
			objects = append(objects, object)
		}
	}
}
