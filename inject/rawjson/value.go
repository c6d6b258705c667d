package rawjson

import (
	"encoding/json"
	"iter"
	"strconv"
	"strings"
)

// Value is one value of a Document, or the zero Value if there is none. Every method of the zero Value answers as for a
// missing value, so look-ups chain without checks: pod.Get("spec").Get("containers").
type Value struct {
	doc *Document
	at  int
}

func (v Value) node() *node { return &v.doc.nodes[v.at] }

// Kind returns the value's JSON type, Missing for the zero Value.
func (v Value) Kind() Kind {
	if v.doc == nil {
		return Missing
	}
	return v.node().kind
}

// IsSet reports whether the value is there and is not null: Kubernetes treats the two alike.
func (v Value) IsSet() bool { return v.Kind() > Null }

// Text returns the value's own bytes in the document, empty for a missing value.
func (v Value) Text() string {
	if v.doc == nil {
		return ""
	}
	n := v.node()
	return v.doc.text[n.start:n.end]
}

// Len returns the number of members of an object or of elements of an array, 0 for anything else.
func (v Value) Len() int {
	if v.doc == nil {
		return 0
	}
	return int(v.node().count)
}

// Get returns the member of that name, or the zero Value if there is none or the value is not an object.
func (v Value) Get(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	nodes := v.doc.nodes
	for i, end := v.at+1, int(nodes[v.at].next); i < end; i = int(nodes[i+1].next) {
		// Most names differ in length already. One with an escape is longer than what it stands for.
		n := &nodes[i]
		if (int(n.end-n.start)-2 == len(name) || n.escaped) && equals(v.doc.text, n, name) {
			return Value{doc: v.doc, at: i + 1}
		}
	}
	return Value{}
}

// Members iterates over an object's members in the order of the text, nothing for any other value.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != Object {
			return
		}
		nodes := v.doc.nodes
		for i, end := v.at+1, int(nodes[v.at].next); i < end; i = int(nodes[i+1].next) {
			if !yield(unquote(v.doc.text, &nodes[i]), Value{doc: v.doc, at: i + 1}) {
				return
			}
		}
	}
}

// Elements iterates over an array's elements with their indexes, nothing for any other value.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.Kind() != Array {
			return
		}
		nodes := v.doc.nodes
		for i, at, end := 0, v.at+1, int(nodes[v.at].next); at < end; i, at = i+1, int(nodes[at].next) {
			if !yield(i, Value{doc: v.doc, at: at}) {
				return
			}
		}
	}
}

// Str returns a string's content, and whether the value is a string.
func (v Value) Str() (string, bool) {
	if v.Kind() != String {
		return "", false
	}
	return unquote(v.doc.text, v.node()), true
}

// Bool returns a boolean's value, and whether the value is a boolean.
func (v Value) Bool() (value, ok bool) {
	if v.Kind() != Bool {
		return false, false
	}
	return v.Text() == "true", true
}

// Int64 returns an integer's value, and whether the value is a number that is an integer and fits.
func (v Value) Int64() (int64, bool) {
	if v.Kind() != Number {
		return 0, false
	}
	i, err := strconv.ParseInt(v.Text(), 10, 64)
	return i, err == nil
}

func equals(text string, n *node, s string) bool {
	if !n.escaped {
		return text[n.start+1:n.end-1] == s
	}
	return unquote(text, n) == s
}

func unquote(text string, n *node) string {
	if !n.escaped {
		return text[n.start+1 : n.end-1]
	}
	var s string
	// The parser has checked the escapes; what remains, lone surrogates, decodes to U+FFFD as everywhere in Go.
	_ = json.Unmarshal([]byte(text[n.start:n.end]), &s)
	return s
}

// PathFrom returns the path from base to v, as in spec.containers[0].name, for messages. It is empty if v is base, is missing,
// or does not lie in base.
func (v Value) PathFrom(base Value) string {
	if v.doc == nil || v.doc != base.doc {
		return ""
	}
	var path strings.Builder
	for at := base.at; at < v.at; {
		next, segment := base.doc.childToward(at, v.at)
		if next < 0 {
			return ""
		}
		path.WriteString(segment)
		at = next
	}
	return strings.TrimPrefix(path.String(), ".")
}

// childToward returns the child of the node at that holds target, and its path segment; -1 if there is none.
func (d *Document) childToward(at, target int) (int, string) {
	v := Value{doc: d, at: at}
	for i, element := range v.Elements() {
		if target >= element.at && target < int(element.node().next) {
			return element.at, elementSegment(i)
		}
	}
	for _, member := range v.Members() {
		if target >= member.at && target < int(member.node().next) {
			name := &d.nodes[member.at-1]
			return member.at, memberSegment(d.text[name.start:name.end])
		}
	}
	return -1, ""
}
