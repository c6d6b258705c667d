package policydoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"

	"github.com/dagger-inject/dagger-inject/config"
)

// validator checks documents with the published schema.
type validator struct{ schema *spec.Schema }

// newValidator reads the schema for kube-openapi's validator, which knows the keywords of an older draft: they mean the same,
// but for const, which is an enum of one there. It would pass over a keyword that it does not know, so there must be none.
func newValidator(t *testing.T) validator {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs/policy.schema.json"))
	require.NoError(t, err)
	text = regexp.MustCompile(`"const": ("[^"]*")`).ReplaceAll(text, []byte(`"enum": [$1]`))
	var v validator
	require.NoError(t, json.Unmarshal(text, &v.schema))
	require.Equal(t, "urn:dagger-inject:policy:v1alpha1", v.schema.ExtraProps["$id"])
	delete(v.schema.ExtraProps, "$id")
	requireKnown(t, v.schema)
	return v
}

func requireKnown(t *testing.T, s *spec.Schema) {
	t.Helper()
	require.Empty(t, s.ExtraProps)
	for _, property := range s.Properties {
		requireKnown(t, &property)
	}
	if s.Items != nil {
		requireKnown(t, s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		requireKnown(t, s.AdditionalProperties.Schema)
	}
}

func (v validator) check(t *testing.T, document []byte) error {
	t.Helper()
	var value any
	require.NoError(t, yaml.Unmarshal(document, &value))
	text, err := json.Marshal(value)
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(text, &plain))
	return validate.AgainstSchema(v.schema, plain, strfmt.Default)
}

// policiesIn returns the policies in a file: the file itself, or what ConfigMaps in it hold.
func policiesIn(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	found := map[string]string{}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Data     map[string]string
		}
		if err := decoder.Decode(&object); err != nil {
			require.ErrorContains(t, err, "EOF", file)
			return found
		}
		if object.Kind == config.Kind {
			found[file] = string(text)
		}
		if object.Metadata.Name != config.ConfigMapName {
			continue
		}
		for key, policy := range object.Data {
			found[fmt.Sprintf("%s: namespace %s, key %s", file, object.Metadata.Namespace, key)] = policy
		}
	}
}
