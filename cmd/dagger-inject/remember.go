package main

import (
	"bytes"
	"slices"

	yamlv3 "go.yaml.in/yaml/v3"
)

// parse reads the documents of a text. The page in which this program runs has it remember them: it reads the same files for two
// commands, and again when one of them has changed.
var parse = parseDocuments

// remembered bounds how many texts are remembered.
const remembered = 16

// remembering returns a function that parses as another one does, and remembers what that returned for the last texts. Callers may
// change what they get. It is for one goroutine alone.
func remembering(parse func(name string, text []byte) ([]document, error)) func(name string, text []byte) ([]document, error) {
	type memory struct {
		name      string
		text      []byte
		documents []document
	}
	var memories []memory // the last used first
	return func(name string, text []byte) ([]document, error) {
		at := slices.IndexFunc(memories, func(m memory) bool { return m.name == name && bytes.Equal(m.text, text) })
		var m memory
		if at >= 0 {
			m = memories[at]
			memories = slices.Delete(memories, at, at+1)
		} else {
			documents, err := parse(name, text)
			if err != nil {
				return nil, err
			}
			m = memory{name, text, documents}
		}
		memories = slices.Insert(memories, 0, m)
		memories = memories[:min(len(memories), remembered)]
		own := slices.Clone(m.documents)
		for i := range own {
			own[i].node = copyNode(own[i].node)
		}
		return own, nil
	}
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
