package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

const repository = "../.."

func readRepository(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, path))
	require.NoError(t, err)
	return text
}

// generated holds, for each page, the parts that are written from the tree.
func generated(t *testing.T) map[string]map[string]string {
	t.Helper()
	fenced := func(path string) string { return "```yaml\n" + string(readRepository(t, path)) + "```" }
	before, after := "test/data/fixtures/readme/pod.yaml", "test/data/fixtures/readme/expected.yaml"
	return map[string]map[string]string{
		"README.md":               {"before": podInShort(t, before), "after": podInShort(t, after)},
		"docs/getting-started.md": {"before": fenced(before), "after": fenced(after)},
		"docs/migrating.md": {
			"diff":   "```diff\n" + string(readRepository(t, migrateCases+"/guide-runnerdeployment/expected.diff")) + "```",
			"report": "```text\n" + string(readRepository(t, migrateCases+"/guide-runnerdeployment/expected.txt")) + "```",
		},
		"docs/policy-tests.md": {
			"layout": "```text\n" + filesBelow(t, policyRepository) + "```",
			"github": "```yml\n" + string(readRepository(t, policyRepository+"/.github/workflows/policy-tests.yaml")) + "```",
			"gitlab": "```yml\n" + string(readRepository(t, policyRepository+"/.gitlab-ci.yml")) + "```",
		},
		"docs/policy-guide.md": {"policy": fenced("config/default.yaml"), "sample": fenced("docs/samples/tcp.yaml")},
	}
}

// policyRepository is the sample of a repository with policies and their tests.
const policyRepository = "docs/samples/policy-repository"

// filesBelow lists the files of a folder, as if it were named policies.
func filesBelow(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	root := filepath.Join(repository, folder)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		b.WriteString("policies/" + name + "\n")
		return err
	}))
	return b.String()
}

// podInShort returns the labels and containers of a pod's manifest, with one line for each variable and each mount.
func podInShort(t *testing.T, path string) string {
	t.Helper()
	var pod struct {
		Metadata struct {
			Labels map[string]string `yaml:"labels,flow"`
		} `yaml:"metadata"`
		Spec struct {
			Containers []yaml.Node `yaml:"containers"`
		} `yaml:"spec"`
	}
	require.NoError(t, yaml.Unmarshal(readRepository(t, path), &pod))
	for _, container := range pod.Spec.Containers {
		for _, field := range container.Content {
			for _, entry := range field.Content {
				entry.Style |= yaml.FlowStyle
			}
		}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	require.NoError(t, encoder.Encode(pod))
	return "```yaml\n" + out.String() + "```"
}

var generatedPart = regexp.MustCompile(`(?s)<!-- generated: (\w+) -->\n.*?<!-- end -->`)

func TestDocsAreNotStale(t *testing.T) {
	for page, parts := range generated(t) {
		text := readRepository(t, page)
		written := generatedPart.ReplaceAllStringFunc(string(text), func(part string) string {
			name := generatedPart.FindStringSubmatch(part)[1]
			content, known := parts[name]
			require.True(t, known, "%s: no generated part is named %s", page, name)
			delete(parts, name)
			return "<!-- generated: " + name + " -->\n" + content + "\n<!-- end -->"
		})
		require.Empty(t, parts, "%s: parts that the page does not have", page)
		golden.Require(t, filepath.Join(repository, page), written)
	}
}

// TestTheReadmeIsShort keeps it a page that is read in a minute.
func TestTheReadmeIsShort(t *testing.T) {
	text := readRepository(t, "README.md")
	require.LessOrEqual(t, len(text), 6<<10, "bytes: move what is long to docs/")
	require.LessOrEqual(t, bytes.Count(text, []byte("\n")), 120, "lines: move what is long to docs/")
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
