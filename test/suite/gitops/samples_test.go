// Package gitops holds the samples for Argo CD and Flux to those projects' own types and schemas.
package gitops

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/stretchr/testify/require"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"sigs.k8s.io/yaml"
)

const samples = "../../../docs/samples/gitops/"

// documents returns those of a sample, by their kind.
func documents(t *testing.T, name string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(samples + name)
	require.NoError(t, err)
	found := map[string][]byte{}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var head struct{ Kind string }
		require.NoError(t, yaml.Unmarshal(document, &head))
		found[head.Kind] = document
	}
	return found
}

func TestFluxKnowsEveryField(t *testing.T) {
	found := documents(t, "flux.yaml")
	require.Len(t, found, 2)
	var repository sourcev1.OCIRepository
	require.NoError(t, yaml.UnmarshalStrict(found["OCIRepository"], &repository))
	require.Equal(t, sourcev1.GroupVersion.String(), repository.APIVersion)
	var release helmv2.HelmRelease
	require.NoError(t, yaml.UnmarshalStrict(found["HelmRelease"], &release))
	require.Equal(t, helmv2.GroupVersion.String(), release.APIVersion)
	require.Equal(t, repository.Name, release.Spec.ChartRef.Name)
	requireValues(t, release.Spec.Values.Raw)
}

// argoCD is the module whose definition of an Application is read. Nothing of it is compiled, so go mod tidy would drop it.
const argoCD = "github.com/argoproj/argo-cd/v3@v3.5.7"

func TestArgoCDsSchemaAcceptsTheApplication(t *testing.T) {
	out, err := exec.Command("go", "mod", "download", "-json", argoCD).Output()
	require.NoError(t, err)
	var module struct{ Dir string }
	require.NoError(t, json.Unmarshal(out, &module))
	text, err := os.ReadFile(filepath.Join(module.Dir, "manifests/crds/application-crd.yaml"))
	require.NoError(t, err)
	var definition apiextensionsv1.CustomResourceDefinition
	require.NoError(t, yaml.Unmarshal(text, &definition))
	var internal apiextensions.JSONSchemaProps
	require.NoError(t, apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(
		definition.Spec.Versions[0].Schema.OpenAPIV3Schema, &internal, nil))

	var application map[string]any
	require.NoError(t, yaml.UnmarshalStrict(documents(t, "argocd.yaml")["Application"], &application))
	validator, _, err := validation.NewSchemaValidator(&internal)
	require.NoError(t, err)
	require.Empty(t, validation.ValidateCustomResource(nil, application, validator))
	structural, err := structuralschema.NewStructural(&internal)
	require.NoError(t, err)
	unknown := pruning.PruneWithOptions(application, structural, true,
		structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	require.Empty(t, unknown, "fields that Argo CD would drop")

	source := application["spec"].(map[string]any)["source"].(map[string]any)
	values, err := json.Marshal(source["helm"].(map[string]any)["valuesObject"])
	require.NoError(t, err)
	requireValues(t, values)
	require.Equal(t, "ServerSideDiff=true",
		application["metadata"].(map[string]any)["annotations"].(map[string]any)["argocd.argoproj.io/compare-options"])
}

// requireValues holds values to those that the chart knows.
func requireValues(t *testing.T, values []byte) {
	t.Helper()
	text, err := os.ReadFile("../../../charts/dagger-inject/values.schema.json")
	require.NoError(t, err)
	var schema struct{ Properties map[string]any }
	require.NoError(t, json.Unmarshal(text, &schema))
	var set map[string]any
	require.NoError(t, json.Unmarshal(values, &set))
	require.NotEmpty(t, set)
	for name := range set {
		require.Contains(t, schema.Properties, name)
	}
}
