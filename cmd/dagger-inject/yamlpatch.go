package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

var pointerUnescapes = strings.NewReplacer("~1", "/", "~0", "~")

// addToYAML applies `add` operations to a YAML tree, so that comments, order and style of what the user wrote survive.
func addToYAML(root *yamlv3.Node, ops []patch.Operation) error {
	for _, op := range ops {
		var index rawjson.Document
		value, err := index.Parse(string(op.Value))
		if err != nil {
			return fmt.Errorf("operation add %s: %w", op.Path, err)
		}
		segments := strings.Split(strings.TrimPrefix(op.Path, "/"), "/")
		parent := root
		if parent.Kind == yamlv3.DocumentNode {
			parent = parent.Content[0]
		}
		for _, segment := range segments[:len(segments)-1] {
			if parent = childNode(parent, pointerUnescapes.Replace(segment)); parent == nil {
				return fmt.Errorf("operation add %s: %s is not there", op.Path, segment)
			}
		}
		if err := addChild(parent, pointerUnescapes.Replace(segments[len(segments)-1]), nodeOf(value)); err != nil {
			return fmt.Errorf("operation add %s: %w", op.Path, err)
		}
	}
	return nil
}

func childNode(parent *yamlv3.Node, name string) *yamlv3.Node {
	switch parent.Kind {
	case yamlv3.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(parent.Content) {
			return parent.Content[i]
		}
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(parent.Content); i += 2 {
			if parent.Content[i].Value == name {
				return parent.Content[i+1]
			}
		}
	}
	return nil
}

func addChild(parent *yamlv3.Node, name string, value *yamlv3.Node) error {
	switch parent.Kind {
	case yamlv3.SequenceNode:
		at := len(parent.Content)
		if name != "-" {
			var err error
			if at, err = strconv.Atoi(name); err != nil || at < 0 || at > len(parent.Content) {
				return fmt.Errorf("%q is not an index of the list", name)
			}
		}
		parent.Style = 0
		parent.Content = append(parent.Content, nil)
		copy(parent.Content[at+1:], parent.Content[at:])
		parent.Content[at] = value
		return nil
	case yamlv3.MappingNode:
		parent.Style = 0
		if have := childNode(parent, name); have != nil {
			*have = *value
			return nil
		}
		parent.Content = append(parent.Content, stringNode(name), value)
		return nil
	}
	return fmt.Errorf("its parent is neither a mapping nor a list")
}

// copyNode copies a tree without aliases.
func copyNode(node *yamlv3.Node) *yamlv3.Node {
	copied := *node
	copied.Content = slices.Clone(node.Content)
	for i, child := range copied.Content {
		copied.Content[i] = copyNode(child)
	}
	return &copied
}
