package integration

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
)

// TestTheAPIServerAcceptsTheSamples creates what the samples have beside their policies, as a dry run and in one namespace:
// policies are created as ConfigMaps elsewhere, and other kinds need their own controllers' definitions.
func TestTheAPIServerAcceptsTheSamples(t *testing.T) {
	require.NoError(t, shared.CreateNamespace(t.Context(), "samples", nil, nil))
	files, err := filepath.Glob("../../../docs/samples/*.yaml")
	require.NoError(t, err)
	accepted := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
			document, err := documents.Read()
			if err == io.EOF {
				break
			}
			require.NoError(t, err, file)
			var u unstructured.Unstructured
			require.NoError(t, yaml.UnmarshalStrict(document, &u.Object), file)
			if u.GetName() == config.ConfigMapName || !scheme.Scheme.Recognizes(u.GroupVersionKind()) {
				continue
			}
			if u.GetNamespace() != "" {
				u.SetNamespace("samples")
			}
			require.NoError(t, shared.Client().Create(t.Context(), &u, client.DryRunAll, client.FieldValidation("Strict")), file)
			accepted[u.GetKind()]++
		}
	}
	require.Subset(t, accepted, map[string]int{"Deployment": 2, "Service": 3, "NetworkPolicy": 3, "PersistentVolumeClaim": 1, "Secret": 2})
}
