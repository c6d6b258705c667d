package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// maxInput bounds how much of a file is read: the API server takes objects of up to 3 MiB, and a file may hold many.
const maxInput = 256 << 20

// document is one YAML or JSON document of an input. Nobody changes its tree: it may be read again.
type document struct {
	name string // for messages: the file, and the document's number if there are several
	node *yamlv3.Node
	json []byte
	// encoded is the tree as outputs have it, nil until it is first asked for.
	encoded *[]byte
	// above is the number of lines above the document in its file.
	above int
}

// readDocuments reads a file, or standard input for "-", and returns its documents that are not empty.
func readDocuments(file string, stdin io.Reader) ([]document, error) {
	source, name := stdin, "standard input"
	if file == "-" && stdin == nil {
		return nil, badInputf("standard input is not read here: want a file")
	}
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
	documents, err := parse(name, text)
	if err != nil {
		return nil, badInput{err}
	}
	if len(documents) == 0 {
		return nil, badInputf("%s has no object in it: want a Pod, a workload with a pod template, or a List of them", name)
	}
	return documents, nil
}

// eachObject visits a document's object, or each item of a List, with the item's pointer.
func (d *document) eachObject(visit func(object rawjson.Value, kind, pointer string) error) error {
	root, err := new(rawjson.Document).Parse(string(d.json))
	if err != nil {
		return badInputf("%s: %w", d.name, err)
	}
	items := root.Get("items")
	kind, _ := root.Get("kind").Str()
	if !strings.HasSuffix(kind, "List") || items.Kind() != rawjson.Array {
		return visit(root, kind, "")
	}
	for i, item := range items.Elements() {
		itemKind, _ := item.Get("kind").Str()
		if itemKind == "" {
			// The API server leaves the kind out of the items of a list of one kind.
			itemKind = strings.TrimSuffix(kind, "List")
		}
		if err := visit(item, itemKind, "/items/"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

func parseDocuments(name string, text []byte) ([]document, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		d, err := fromJSON(name, trimmed)
		// Other text that starts with a brace is YAML in flow style.
		if err == nil || bytes.HasPrefix(trimmed, []byte(`{"`)) {
			return []document{d}, err
		}
	}
	var documents []document
	above := 0
	for i, part := range splitYAML(text) {
		d, err := fromYAML(fmt.Sprintf("%s: document %d", name, i+1), part)
		if err != nil {
			return nil, linesBelow(err, above)
		}
		d.above = above
		above += bytes.Count(part, []byte("\n"))
		if d.node != nil {
			documents = append(documents, d)
		}
	}
	if len(documents) == 1 {
		documents[0].name = name
	}
	return documents, nil
}

// yamlLine matches where the YAML library says that an error is.
var yamlLine = regexp.MustCompile(`\bline (\d+)`)

// linesBelow makes the lines of an error about a document those of its file.
func linesBelow(err error, above int) error {
	if above == 0 {
		return err
	}
	return errors.New(yamlLine.ReplaceAllStringFunc(err.Error(), func(line string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(line, "line "))
		return fmt.Sprintf("line %d", n+above)
	}))
}

// at returns a field's line in the document's file, as "line 3: ", or empty if it is not known. The path is one as messages have it,
// such as spec.containers[0].name; the line is that of its deepest part that is there.
func (d *document) at(path string) string {
	node := d.node
	if node.Kind == yamlv3.DocumentNode {
		node = node.Content[0]
	}
	line := node.Line
	for name := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		child := childNode(node, name)
		if child == nil {
			break
		}
		node, line = child, child.Line
	}
	if line == 0 {
		return "" // the tree was not read off a text
	}
	return fmt.Sprintf("line %d: ", d.above+line)
}

// splitYAML cuts a stream before the lines that start documents: three dashes, and perhaps more after a space.
func splitYAML(text []byte) [][]byte {
	var parts [][]byte
	start := 0
	for at := 0; at < len(text); {
		end := at + bytes.IndexByte(text[at:], '\n') + 1
		if end == at {
			end = len(text)
		}
		if rest, ok := bytes.CutPrefix(text[at:end], []byte("---")); ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0) {
			parts = append(parts, text[start:at])
			start = at
		}
		at = end
	}
	return append(parts, text[start:])
}

// fromJSON keeps the text as it is, and builds the tree from it in the same order.
func fromJSON(name string, text []byte) (document, error) {
	var index rawjson.Document
	root, err := index.Parse(string(text))
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", name, err)
	}
	node := &yamlv3.Node{Kind: yamlv3.DocumentNode, Content: []*yamlv3.Node{nodeOf(root)}}
	return document{name: name, node: node, json: text, encoded: new([]byte)}, nil
}

// fromYAML converts one document. The node is nil for an empty one.
func fromYAML(name string, text []byte) (document, error) {
	if onlyDirectives(text) {
		return document{}, nil
	}
	decoder := yamlv3.NewDecoder(bytes.NewReader(text))
	var node, second yamlv3.Node
	if err := decoder.Decode(&node); err != nil {
		if errors.Is(err, io.EOF) {
			return document{}, nil
		}
		return document{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return document{}, fmt.Errorf("%s: another document follows without a line of three dashes before it", name)
	}
	root := node.Content[0]
	if root.Kind == yamlv3.ScalarNode && root.Tag == "!!null" {
		return document{}, nil
	}
	if root.Kind != yamlv3.MappingNode {
		return document{}, fmt.Errorf("%s: want a Kubernetes object, which is a mapping", name)
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", name, err)
	}
	if hasAlias(&node) {
		// An alias shares its content with other places, and an addition here must not change those.
		return fromJSON(name, asJSON)
	}
	return document{name: name, node: &node, json: asJSON, encoded: new([]byte)}, nil
}

// onlyDirectives reports whether the text contains only YAML directives, which come before the dashes of a document.
func onlyDirectives(text []byte) bool {
	directives := false
	for line := range bytes.Lines(text) {
		switch line = bytes.TrimSpace(line); {
		case len(line) == 0 || line[0] == '#':
		case line[0] == '%':
			directives = true
		default:
			return false
		}
	}
	return directives
}

// nodeOf builds a YAML tree from a JSON value.
func nodeOf(v rawjson.Value) *yamlv3.Node {
	switch v.Kind() {
	case rawjson.Object:
		node := &yamlv3.Node{Kind: yamlv3.MappingNode, Tag: "!!map"}
		for name, member := range v.Members() {
			node.Content = append(node.Content, stringNode(name), nodeOf(member))
		}
		return node
	case rawjson.Array:
		node := &yamlv3.Node{Kind: yamlv3.SequenceNode, Tag: "!!seq"}
		for _, element := range v.Elements() {
			node.Content = append(node.Content, nodeOf(element))
		}
		return node
	case rawjson.String:
		s, _ := v.Str()
		return stringNode(s)
	case rawjson.Number:
		return &yamlv3.Node{Kind: yamlv3.ScalarNode, Value: v.Text()}
	case rawjson.Bool:
		return &yamlv3.Node{Kind: yamlv3.ScalarNode, Tag: "!!bool", Value: v.Text()}
	}
	return &yamlv3.Node{Kind: yamlv3.ScalarNode, Tag: "!!null", Value: "null"}
}

// otherThanString matches plain words that YAML 1.1 reads as booleans, or as numbers of base 60 or with underscores.
// Kubernetes' own readers follow YAML 1.1; the encoder follows YAML 1.2 and would not quote them.
var otherThanString = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|[-+]?[0-9][0-9_]*([:.][0-9_]*)*|[-+]?0b[01_]+|=|<<)$`)

func stringNode(s string) *yamlv3.Node {
	node := &yamlv3.Node{}
	node.SetString(s)
	if otherThanString.MatchString(s) {
		node.Style = yamlv3.DoubleQuotedStyle
	}
	return node
}

func hasAlias(node *yamlv3.Node) bool {
	if node.Kind == yamlv3.AliasNode || node.Tag == "!!merge" {
		return true
	}
	return slices.ContainsFunc(node.Content, hasAlias)
}

// yaml returns the document as YAML in the style that outputs have.
func (d *document) yaml() ([]byte, error) {
	if *d.encoded == nil {
		text, err := encodeYAML(d.node)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		*d.encoded = text
	}
	return *d.encoded, nil
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
