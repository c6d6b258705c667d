package chartdoc

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

const repository = "../.."

var tablePart = regexp.MustCompile(`(?s)<!-- generated: values -->\n.*?<!-- end -->`)

func TestPublishedFiles(t *testing.T) {
	read := func(path string) []byte {
		text, err := os.ReadFile(filepath.Join(repository, path))
		require.NoError(t, err)
		return text
	}
	values, err := Values(read("charts/dagger-inject/values.yaml"))
	require.NoError(t, err)
	schema, err := Schema(values, read("docs/policy.schema.json"))
	require.NoError(t, err)
	readme := read("charts/dagger-inject/README.md")
	require.Len(t, tablePart.FindAll(readme, -1), 1)
	readme = tablePart.ReplaceAllLiteral(readme, []byte("<!-- generated: values -->\n"+Table(values)+"\n<!-- end -->"))

	for path, want := range map[string][]byte{
		"charts/dagger-inject/values.schema.json": schema,
		"charts/dagger-inject/README.md":          readme,
	} {
		golden.Require(t, filepath.Join(repository, path), string(want))
	}
}

func TestRulesAreAboutValues(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "charts/dagger-inject/values.yaml"))
	require.NoError(t, err)
	values, err := Values(text)
	require.NoError(t, err)
	paths := map[string]bool{}
	for _, value := range values {
		paths[value.Path] = true
	}
	for path := range rules {
		require.True(t, paths[path], "a rule for %s, which is no value", path)
	}
}

func TestValuesWantComments(t *testing.T) {
	_, err := Values([]byte("image:\n  # Says nothing.\n  tag: \"\"\n"))
	require.EqualError(t, err, `line 3: image.tag has no comment that begins with "# -- "`)
}

func TestSchemaWantsRules(t *testing.T) {
	values, err := Values([]byte("# -- Things.\nthings: []\n"))
	require.NoError(t, err)
	_, err = Schema(values, []byte("{}"))
	require.ErrorContains(t, err, "things: what it accepts is not known from its default")
}
