package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/internal/reasondoc"
	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

const repository = "../.."

// generated holds the parts of the README that are made from the tree.
func generated(t *testing.T) map[string]string {
	t.Helper()
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(repository, path))
		require.NoError(t, err)
		return string(text)
	}
	yaml := func(text string) string { return "```yaml\n" + text + "```" }
	return map[string]string{
		"before":  yaml(read("test/data/fixtures/readme/pod.yaml")),
		"after":   yaml(read("test/data/fixtures/readme/expected.yaml")),
		"policy":  yaml(read("config/default.yaml")),
		"sample":  yaml(read("docs/samples/tcp.yaml")),
		"reasons": reasondoc.Table(),
	}
}

var generatedPart = regexp.MustCompile(`(?s)<!-- generated: (\w+) -->\n.*?<!-- end -->`)

func TestReadme(t *testing.T) {
	file := filepath.Join(repository, "README.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	parts := generated(t)
	written := generatedPart.ReplaceAllStringFunc(string(text), func(part string) string {
		name := generatedPart.FindStringSubmatch(part)[1]
		content, known := parts[name]
		require.True(t, known, "no generated part is named %s", name)
		delete(parts, name)
		return "<!-- generated: " + name + " -->\n" + content + "\n<!-- end -->"
	})
	require.Empty(t, parts, "parts that the README does not have")
	golden.Require(t, file, written)
}

// TestSamplesAreValid checks them as an operator can, since most are ConfigMaps and one is layered on the built-in policy.
func TestSamplesAreValid(t *testing.T) {
	samples, err := filepath.Glob(filepath.Join(repository, "docs/samples/*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, samples)
	for _, sample := range samples {
		code, findings, report := execute(t, "", "lint", sample)
		require.Zero(t, code, "%s: %s", findings, report)
		require.Equal(t, "1 policy, no errors\n", report, sample)
	}
}

// TestReadmeNamesFilesThatExist follows every path of the tree that the README mentions.
func TestReadmeNamesFilesThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	require.NoError(t, err)
	for _, path := range regexp.MustCompile(`\btest/[\w/.-]+\.\w+`).FindAllString(string(text), -1) {
		_, err := os.Stat(filepath.Join(repository, strings.TrimSuffix(path, ".")))
		require.NoError(t, err)
	}
}
