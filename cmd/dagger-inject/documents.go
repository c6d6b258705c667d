package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// maxInput bounds what is read of a file: the API server takes objects of up to 3 MiB, and a file may hold many.
const maxInput = 256 << 20

// document is one YAML or JSON document of an input.
type document struct {
	name string // for messages: the file, and the document's number where there are several
	node *yamlv3.Node
	json []byte
}

// readDocuments reads a file, or standard input for "-", and returns its documents that are not empty.
func readDocuments(file string, stdin io.Reader) ([]document, error) {
	source, name := stdin, "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, badInput{err}
		}
		defer func() { _ = f.Close() }()
		source, name = f, file
	}
	text, err := io.ReadAll(io.LimitReader(source, maxInput+1))
	if err != nil {
		return nil, badInputf("reading %s: %w", name, err)
	}
	if len(text) > maxInput {
		return nil, badInputf("%s has more than the %d bytes accepted", name, maxInput)
	}
	documents, err := parseDocuments(name, text)
	if err != nil {
		return nil, badInput{err}
	}
	if len(documents) == 0 {
		return nil, badInputf("%s has no object in it: want a Pod, a workload with a pod template, or a List of them", name)
	}
	return documents, nil
}

func parseDocuments(name string, text []byte) ([]document, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		d, err := newDocument(name, trimmed, trimmed)
		return []document{d}, err
	}
	var documents []document
	for i, part := range splitYAML(text) {
		d, err := newDocument(fmt.Sprintf("%s: document %d", name, i+1), part, nil)
		if err != nil {
			return nil, err
		}
		if d.node != nil {
			documents = append(documents, d)
		}
	}
	if len(documents) == 1 {
		documents[0].name = name
	}
	return documents, nil
}

// splitYAML cuts a stream at the lines that separate documents.
func splitYAML(text []byte) [][]byte {
	var parts [][]byte
	start := 0
	for at := 0; at < len(text); {
		end := at + bytes.IndexByte(text[at:], '\n') + 1
		if end == at {
			end = len(text)
		}
		if line := bytes.TrimRight(text[at:end], " \t\r\n"); bytes.Equal(line, []byte("---")) {
			parts = append(parts, text[start:at])
			start = end
		}
		at = end
	}
	return append(parts, text[start:])
}

// newDocument reads one document. A JSON text is kept as it is; YAML is converted. The node is nil for an empty document.
func newDocument(name string, text, asJSON []byte) (document, error) {
	var node yamlv3.Node
	if err := yamlv3.NewDecoder(bytes.NewReader(text)).Decode(&node); err != nil {
		if errors.Is(err, io.EOF) {
			return document{}, nil
		}
		return document{}, fmt.Errorf("%s: %w", name, err)
	}
	root := &node
	if root.Kind == yamlv3.DocumentNode {
		root = root.Content[0]
	}
	if root.Kind == yamlv3.ScalarNode && root.Tag == "!!null" {
		return document{}, nil
	}
	if root.Kind != yamlv3.MappingNode {
		return document{}, fmt.Errorf("%s: want a Kubernetes object, which is a mapping", name)
	}
	d := document{name: name, node: &node, json: asJSON}
	if d.json == nil {
		var err error
		if d.json, err = yaml.YAMLToJSONStrict(text); err != nil {
			return document{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if asJSON != nil || hasAlias(&node) {
		// Block style reads better than what JSON looks like as YAML. An alias shares its content with other places, which an
		// addition here must not reach.
		if err := yamlv3.Unmarshal(d.json, &node); err != nil {
			return document{}, fmt.Errorf("%s: %w", name, err)
		}
		blockStyle(&node)
	}
	return d, nil
}

func hasAlias(node *yamlv3.Node) bool {
	if node.Kind == yamlv3.AliasNode {
		return true
	}
	for _, child := range node.Content {
		if hasAlias(child) {
			return true
		}
	}
	return false
}

// blockStyle drops the styles that JSON leaves on nodes; the encoder quotes what needs it.
func blockStyle(node *yamlv3.Node) {
	node.Style = 0
	for _, child := range node.Content {
		blockStyle(child)
	}
}

// encodeYAML writes a node as kubectl does: two spaces, list items not indented.
func encodeYAML(node *yamlv3.Node) ([]byte, error) {
	var b bytes.Buffer
	encoder := yamlv3.NewEncoder(&b)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(node); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}
