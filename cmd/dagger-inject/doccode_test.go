package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/internal/chartdoc"
)

var (
	shellSeparator = regexp.MustCompile(`\s(?:\||&&|;)\s|\n`)
	shellComment   = regexp.MustCompile(`(?m)(^|\s)#.*$`)
	makeTarget     = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):`)
)

// TestDocsHaveCommandsThatWork parses every command line with the program's name, and looks up every target of make.
func TestDocsHaveCommandsThatWork(t *testing.T) {
	var targets []string
	for _, match := range makeTarget.FindAllSubmatch(readRepository(t, "Makefile"), -1) {
		targets = append(targets, string(match[1]))
	}
	for _, p := range pages(t) {
		p.eachCode(func(code string, span bool) {
			code = shellComment.ReplaceAllString(strings.ReplaceAll(code, "\\\n", " "), "")
			for _, line := range shellSeparator.Split(code, -1) {
				words := strings.Fields(strings.Replace(line, "go run ./cmd/dagger-inject", "dagger-inject", 1))
				switch {
				case len(words) < 2:
				case words[0] == "dagger-inject":
					requireCommand(t, p.path, words[1:], !span)
				case words[0] == "make":
					require.Contains(t, targets, words[1], "%s: %s", p.path, line)
				}
			}
		})
	}
}

// requireCommand parses a command line as the program does, without running it. A command that is only mentioned need not have its
// arguments.
func requireCommand(t *testing.T, path string, args []string, complete bool) {
	t.Helper()
	if end := slices.IndexFunc(args, func(arg string) bool { return arg == ">" }); end >= 0 {
		args = args[:end]
	}
	command, rest, err := newRoot(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard}).Find(args)
	require.NoError(t, err, "%s: dagger-inject %s", path, strings.Join(args, " "))
	command.InitDefaultHelpFlag()
	require.NoError(t, command.ParseFlags(rest), "%s: dagger-inject %s", path, strings.Join(args, " "))
	require.True(t, command.Runnable(), "%s: dagger-inject %s: no such command", path, strings.Join(args, " "))
	if complete && command.Args != nil {
		require.NoError(t, command.ValidateArgs(command.Flags().Args()), "%s: dagger-inject %s", path, strings.Join(args, " "))
	}
}

// TestDocsHaveYAMLThatIsValid checks every block of YAML as what it is: a policy, an object of Kubernetes, values of the chart,
// or a part of one of these.
func TestDocsHaveYAMLThatIsValid(t *testing.T) {
	values, err := chartdoc.Values(readRepository(t, "charts/dagger-inject/values.yaml"))
	require.NoError(t, err)
	var names []string
	for _, value := range values {
		names = append(names, value.Path)
	}
	for _, p := range pages(t) {
		each(p, func(block *ast.FencedCodeBlock) {
			if string(block.Language(p.source)) != "yaml" {
				return
			}
			decoder := yaml.NewDecoder(strings.NewReader(p.lines(block)))
			for {
				var document map[string]any
				err := decoder.Decode(&document)
				if errors.Is(err, io.EOF) {
					return
				}
				require.NoError(t, err, "%s:\n%s", p.path, p.lines(block))
				require.NoError(t, validYAML(t, document, names), "%s:\n%s", p.path, p.lines(block))
			}
		})
	}
}

func validYAML(t *testing.T, document map[string]any, values []string) error {
	t.Helper()
	text, err := yaml.Marshal(document)
	require.NoError(t, err)
	metadata, _ := document["metadata"].(map[string]any)
	switch {
	case document["kind"] == config.Kind, document["kind"] == "ConfigMap" && metadata["name"] == config.ConfigMapName:
		return validPolicy(t, text)
	case document["apiVersion"] != nil:
		strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
		_, _, err := strict.Decode(text, nil, nil)
		return err
	case onlyKeys(document, "metadata", "spec"):
		return sigsyaml.UnmarshalStrict(text, &corev1.PodTemplateSpec{})
	case onlyKeys(document, "template"):
		return sigsyaml.UnmarshalStrict(text, &struct {
			Template corev1.PodTemplateSpec `json:"template"`
		}{})
	case areValues(document, "", values):
		policy, has := document["policy"].(map[string]any)
		if !has {
			return nil
		}
		text, err := yaml.Marshal(policy)
		require.NoError(t, err)
		return validPolicy(t, withHead(text))
	}
	return validPolicy(t, withHead(text))
}

// withHead completes a part of a policy.
func withHead(text []byte) []byte {
	return append([]byte("apiVersion: "+config.APIVersion+"\nkind: "+config.Kind+"\n"), text...)
}

// validPolicy checks a policy, or the ConfigMap with it, as lint does.
func validPolicy(t *testing.T, text []byte) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(file, bytes.TrimSpace(text), 0o600))
	if code, findings, report := execute(t, "", "lint", file); code != 0 {
		return errors.New(findings + report)
	}
	return nil
}

func onlyKeys(document map[string]any, keys ...string) bool {
	for key := range document {
		if !slices.Contains(keys, key) {
			return false
		}
	}
	return true
}

// areValues reports whether all that is set in a document are values of the chart.
func areValues(document map[string]any, prefix string, values []string) bool {
	for key, value := range document {
		name := prefix + key
		if slices.Contains(values, name) {
			continue
		}
		below, ok := value.(map[string]any)
		if !ok || !areValues(below, name+".", values) {
			return false
		}
	}
	return true
}
