// Package rawjson indexes a JSON text without decoding it.
//
// An admission webhook must answer with operations on the bytes it was sent: a value that is decoded into types and
// encoded again loses the fields that the types do not know. A Document therefore keeps the text as it came and records
// where each value starts and ends; a Value is a position in it. Parsing is strict (RFC 8259 syntax, valid UTF-8, no
// duplicate member names) and bounded in depth and in values, so that hostile input costs no more than its own size.
package rawjson

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep values may nest. A pod nests about fifteen deep; the API server itself refuses more than 10,000.
	MaxDepth = 256
	// MaxValues is how many values, member names included, one document may index: a pod of 50,000 variables, or the most of
	// any size that etcd stores (1.5 MiB). The index of that many takes 5 MiB.
	MaxValues = 1 << 18
	// opaqueMember is checked for syntax but not indexed: it is about half of a pod that an API server sends, and no admission
	// decision reads it.
	opaqueMember = "managedFields"
)

// Kind is the JSON type of a Value.
type Kind uint8

// The kinds of a Value. Missing is the zero Kind: the value is not there at all.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Object
	Array
)

var kindNames = [...]string{"nothing", "null", "a boolean", "a number", "a string", "an object", "a list"}

// String returns the kind with its article, as used in messages: "a string", "an object".
func (k Kind) String() string { return kindNames[k] }

// node is one value, or one member name, of a document. An object's members follow it as pairs of name and value, an
// array's elements follow it one by one.
type node struct {
	start, end uint32 // the value's text is text[start:end]
	next       uint32 // the node after this one's last descendant
	count      uint32 // members of an object, elements of an array
	kind       Kind
	escaped    bool // a string with a backslash in it
}

// Document is an indexed JSON text. The zero Document is ready for Parse. A Document is safe for concurrent reads.
type Document struct {
	text  string
	nodes []node
}

// SyntaxError says what is wrong with a JSON text, and where.
type SyntaxError struct {
	// Path leads to the value that is wrong, as in spec.containers[0].name; empty for the whole text.
	Path string
	// Offset is the byte at which the problem was seen, from 0.
	Offset int
	// Problem is what is wrong, in a few words.
	Problem string
}

// Error returns the problem with its place.
func (e *SyntaxError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Problem)
	}
	return fmt.Sprintf("invalid JSON at byte %d (%s): %s", e.Offset, e.Path, e.Problem)
}

// Parse indexes text and returns its root value. It reuses the document's memory, so every Value of an earlier Parse
// becomes invalid. The error is a *SyntaxError.
func (d *Document) Parse(text string) (Value, error) {
	d.text, d.nodes = text, d.nodes[:0]
	if len(text) > 1<<31 {
		return Value{}, &SyntaxError{Problem: "longer than 2 GiB"}
	}
	if !utf8.ValidString(text) {
		return Value{}, &SyntaxError{Offset: invalidUTF8(text), Problem: "invalid UTF-8"}
	}
	p := parser{text: text, nodes: d.nodes}
	err := p.value(0)
	d.nodes = p.nodes
	if err == nil {
		p.space()
		if p.pos < len(text) {
			err = p.fail("text after the end of the value")
		}
	}
	if err != nil {
		err.Path = strings.TrimPrefix(err.Path, ".")
		return Value{}, err
	}
	return Value{doc: d, at: 0}, nil
}

// Reset releases the text, and the index if it has more than keep values, so that a pooled Document does not keep the largest
// request in memory.
func (d *Document) Reset(keep int) {
	d.text = ""
	if cap(d.nodes) > keep {
		d.nodes = nil
	}
	d.nodes = d.nodes[:0]
}

func invalidUTF8(text string) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(text)
}

// under prefixes an error's path with the place it happened under.
func (e *SyntaxError) under(segment string) *SyntaxError {
	// A hostile text must not cause an error message larger than itself.
	if len(e.Path)+len(segment) <= 512 {
		e.Path = segment + e.Path
	}
	return e
}

func memberSegment(quoted string) string {
	name := quoted[1 : len(quoted)-1]
	if strings.ContainsAny(name, `./[]"\`) {
		return "[" + quoted + "]"
	}
	return "." + name
}

func elementSegment(i int) string { return "[" + strconv.Itoa(i) + "]" }
