package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dagger-inject/dagger-inject/inject/patch"
)

// yamlDocument is one document of a YAML or JSON file, with the places of its nodes in the file's text.
type yamlDocument struct {
	lineIndex
	number  int // in the file, from 1
	root    *yaml.Node
	parents map[*yaml.Node]*yaml.Node
	aliased map[*yaml.Node]bool
	nested  map[*yaml.Node]*nestedYAML
	content any
}

// parseYAML returns the documents of a text that are not empty.
func parseYAML(text []byte) ([]*yamlDocument, error) {
	documents, err := parseNested(text)
	for _, d := range documents {
		if d.root.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("line %d: want an object or values, which are a mapping", d.root.Line)
		}
	}
	return documents, err
}

// parseNested returns the documents of a text that are not empty, in which a list is accepted too, as JSON patches are.
func parseNested(text []byte) ([]*yamlDocument, error) {
	index := indexLines(text)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var documents []*yamlDocument
	for number := 1; ; number++ {
		var node yaml.Node
		if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
			return documents, nil
		} else if err != nil {
			return nil, err
		}
		root := node.Content[0]
		if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
			continue
		}
		if root.Kind != yaml.MappingNode && root.Kind != yaml.SequenceNode {
			return nil, fmt.Errorf("line %d: want an object or values, which are a mapping", root.Line)
		}
		d := &yamlDocument{lineIndex: index, number: number, root: root, parents: map[*yaml.Node]*yaml.Node{},
			aliased: map[*yaml.Node]bool{}, nested: map[*yaml.Node]*nestedYAML{}}
		d.link(root)
		var err error
		if d.content, err = valueOf(root, maxNodes); err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
}

func (d *yamlDocument) link(node *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		d.aliased[node.Alias] = true
		return
	}
	for i, child := range node.Content {
		d.parents[child] = node
		d.link(child)
		if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Value == podSpecPatch && child.Kind == yaml.ScalarNode {
			d.nest(child)
		}
	}
}

// maxNodes bounds how much aliases may expand to.
const maxNodes = 1 << 20

// valueOf converts a node to what encoding/json would decode.
func valueOf(node *yaml.Node, budget int) (any, error) {
	c := converter{budget: budget}
	return c.value(node)
}

type converter struct{ budget int }

func (c *converter) value(node *yaml.Node) (any, error) {
	if c.budget--; c.budget < 0 {
		return nil, fmt.Errorf("line %d: the document's aliases expand to more than %d values", node.Line, maxNodes)
	}
	switch node.Kind {
	case yaml.AliasNode:
		return c.value(node.Alias)
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for _, child := range node.Content {
			v, err := c.value(child)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		return c.mapping(node)
	}
	var v any
	if err := node.Decode(&v); err != nil {
		return nil, err
	}
	switch v.(type) {
	case nil, bool, string, int, int64, uint64, float64:
		return v, nil
	}
	return node.Value, nil // a timestamp, which JSON has as a string
}

func (c *converter) mapping(node *yaml.Node) (any, error) {
	object := map[string]any{}
	merged := map[string]any{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		v, err := c.value(value)
		if err != nil {
			return nil, err
		}
		if key.Tag == "!!merge" {
			c.merge(merged, v)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key is no word", key.Line)
		}
		if _, twice := object[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %q stands twice in a mapping", key.Line, key.Value)
		}
		object[key.Value] = v
	}
	for name, v := range merged {
		if _, own := object[name]; !own {
			object[name] = v
		}
	}
	return object, nil
}

func (c *converter) merge(into map[string]any, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if _, have := into[name]; !have {
				into[name] = member
			}
		}
	case []any:
		for _, one := range v {
			c.merge(into, one)
		}
	}
}

// pointer joins names to a JSON pointer.
func pointer(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("/" + patch.EscapePointer(name))
	}
	return b.String()
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// names splits a JSON pointer.
func names(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(pointer[1:], "/")
	for i := range parts {
		parts[i] = unescapePointer.Replace(parts[i])
	}
	return parts
}

// child returns a node's child of that name or index: the node, its index in Content of the entry, and whether there is one.
func child(node *yaml.Node, name string) (found *yaml.Node, index int, ok bool) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name && node.Content[i].Tag != "!!merge" {
				return node.Content[i+1], i, true
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], i, true
		}
	}
	return nil, 0, false
}

// locate follows a pointer to an entry, and returns the collection that has it. It fails where the way leads through an alias,
// or into something that has an anchor in use.
func (d *yamlDocument) locate(pointer string) (collection *yaml.Node, index int, err error) {
	at := d.root
	for _, name := range names(pointer) {
		if d.aliased[at] {
			return nil, 0, &sharedError{at.Line, at.Anchor}
		}
		next, i, ok := child(at, name)
		if !ok {
			for _, c := range at.Content {
				if c.Tag == "!!merge" {
					return nil, 0, &sharedError{c.Line, mergeKey}
				}
			}
			if at.Kind == yaml.ScalarNode {
				return nil, 0, fmt.Errorf("line %d: the text is folded, or in quotes with escapes, and is not edited: write it as a block, "+
					"behind a |", at.Line)
			}
			return nil, 0, fmt.Errorf("%s: not there", pointer)
		}
		if next.Kind == yaml.AliasNode {
			return nil, 0, &sharedError{next.Line, next.Value}
		}
		collection, index, at = at, i, next
	}
	return collection, index, d.shared(at)
}

// shared returns an error if anything in the node is used elsewhere by an alias.
func (d *yamlDocument) shared(node *yaml.Node) error {
	if d.aliased[node] {
		return &sharedError{node.Line, node.Anchor}
	}
	if node.Kind == yaml.AliasNode {
		return nil
	}
	for _, c := range node.Content {
		if err := d.shared(c); err != nil {
			return err
		}
	}
	return nil
}

// lineAt returns the line on which an entry starts, from 1, or that of the last one on the way to it.
func (d *yamlDocument) lineAt(pointer string) int {
	if n, _, inside := d.nestedAt(pointer); n != nil {
		return n.line(n.lineAt(inside))
	}
	at := d.root
	line := at.Line
	for _, name := range names(pointer) {
		if at.Kind == yaml.AliasNode {
			at = at.Alias
		}
		next, i, ok := child(at, name)
		if !ok {
			return line
		}
		line = next.Line
		if at.Kind == yaml.MappingNode {
			line = at.Content[i].Line
		}
		at = next
	}
	return line
}

func (d *yamlDocument) tree() any { return d.content }
