package main

import (
	"bytes"
	"slices"
)

// parse reads the documents of a text. The page in which this program runs has it remember them: it reads the same files for two
// commands, and again when one of them has changed.
var parse = parseDocuments

// remembered bounds how many texts are remembered.
const remembered = 16

// remembering returns a function that parses as another one does, and remembers what that returned for the last texts. Callers may
// change the list that they get, but not the documents. It is for one goroutine alone.
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
		return slices.Clone(m.documents), nil
	}
}
