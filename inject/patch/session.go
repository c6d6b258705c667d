// Package patch builds the JSON patch of an admission response on the raw JSON of a pod.
//
// A Session is a journal of additions. It never decodes and encodes what it was given, so a field that this program's
// Kubernetes types do not know, a number beyond 2^53 or the order of a list is never touched; it creates parents that are
// absent or null; and it refuses to add where something is already set. The operations it yields are `add` only, and as few as
// possible: values below a parent that it creates are part of that parent's value.
package patch

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Operation is an `add` of RFC 6902, the only operation that a Session yields.
type Operation struct {
	// Path is where the value is added (RFC 6901).
	Path string
	// Value is JSON.
	Value json.RawMessage
}

// Session journals additions to one JSON object.
type Session struct {
	pointer string
	top     Cursor
	err     error

	size, limit int

	// The room for the first places and values saves a usual injection an allocation for each.
	cursors   [16]Cursor
	additions [16]addition

	cursorsUsed, additionsUsed int
}

// cursor returns a new place of the session.
func (s *Session) cursor(raw rawjson.Value) *Cursor {
	var c *Cursor
	if s.cursorsUsed < len(s.cursors) {
		c = &s.cursors[s.cursorsUsed]
		s.cursorsUsed++
	} else {
		c = new(Cursor)
	}
	c.session, c.raw = s, raw
	return c
}

// addition returns a new value of a list.
func (s *Session) addition(value json.RawMessage) *addition {
	var a *addition
	if s.additionsUsed < len(s.additions) {
		a = &s.additions[s.additionsUsed]
		s.additionsUsed++
	} else {
		a = new(addition)
	}
	a.value = value
	return a
}

// ErrTooLarge is what Operations returns if the additions have more bytes than the session's limit.
var ErrTooLarge = errors.New("the additions are larger than the limit")

// operationBytes is roughly what an addition takes in a patch besides its value.
const operationBytes = 64

// New returns a Session on target, an object. The pointer is where target lies in the document that the operations will
// be applied to: empty for the document itself, "/spec/template" for a workload's pod template (RFC 6901). The limit is how
// many bytes the additions may come to, 0 for any number. A session journals nothing beyond its limit, so that a small
// request cannot make it hold a large answer.
func New(target rawjson.Value, pointer string, limit int) *Session {
	s := &Session{pointer: pointer, limit: limit}
	s.top = Cursor{session: s, raw: target}
	if target.Kind() != rawjson.Object {
		s.err = fmt.Errorf("want an object, got %s", target.Kind())
	}
	return s
}

// Root returns the place of the session's target.
func (s *Session) Root() *Cursor { return &s.top }

// Cursor is a place in the target at which something can be added. Misuse (a member of a list, an addition where
// something is set) is reported by Session.Operations.
type Cursor struct {
	session *Session
	raw     rawjson.Value // what the target has here, if anything

	value    json.RawMessage // a whole value to add here
	replaces bool

	name        string  // of a member in its object
	index       int     // of an element in its list
	first, last *Cursor // the places below this one: members, or elements
	next        *Cursor // beside this one
	prepends    additions
	appends     additions
}

// addition is a value that is added to a list.
type addition struct {
	value json.RawMessage
	next  *addition
}

// additions are values in their order.
type additions struct{ first, last *addition }

func (l *additions) push(a *addition) {
	if l.last == nil {
		l.first = a
	} else {
		l.last.next = a
	}
	l.last = a
}

// below adds a place below this one.
func (c *Cursor) below(child *Cursor) *Cursor {
	if c.last == nil {
		c.first = child
	} else {
		c.last.next = child
	}
	c.last = child
	return child
}

func (c *Cursor) fail(format string, args ...any) {
	if c.session.err == nil {
		c.session.err = fmt.Errorf(format, args...)
	}
}

// Member returns the place of an object's member, which need not exist yet.
func (c *Cursor) Member(name string) *Cursor {
	for m := c.first; m != nil; m = m.next {
		if m.name == name {
			return m
		}
	}
	if c.raw.IsSet() && c.raw.Kind() != rawjson.Object {
		c.fail("%s: want an object, got %s", name, c.raw.Kind())
	}
	m := c.session.cursor(c.raw.Get(name))
	m.name = name
	return c.below(m)
}

// Element returns the place of an element that the list already has: the raw list's element and its index in it. Elements
// are asked for in the list's order.
func (c *Cursor) Element(index int, raw rawjson.Value) *Cursor {
	if c.last != nil && c.last.index == index {
		return c.last
	}
	child := c.session.cursor(raw)
	child.index = index
	if c.last != nil && c.last.index > index {
		child.fail("element %d: asked for after element %d", index, c.last.index)
	}
	if raw.Kind() != rawjson.Object {
		child.fail("element %d: want an object, got %s", index, raw.Kind())
	}
	return c.below(child)
}

// take counts a value against the session's limit, and reports whether it may be journalled.
func (c *Cursor) take(value json.RawMessage) bool {
	s := c.session
	s.size += len(c.name) + len(value) + operationBytes
	if s.limit > 0 && s.size > s.limit {
		if s.err == nil {
			s.err = ErrTooLarge
		}
		return false
	}
	return true
}

// Set adds a value at a place where the target has none, or null.
func (c *Cursor) Set(value json.RawMessage) {
	if c.raw.IsSet() || c.value != nil {
		c.fail("a value is already set where %.60s was to be added", value)
	}
	if c.take(value) {
		c.value = value
	}
}

// Replace sets a value whatever the target has at this place. It exists for this program's own status annotation, the
// only value it ever replaces.
func (c *Cursor) Replace(value json.RawMessage) {
	if c.take(value) {
		c.value, c.replaces = value, true
	}
}

func (c *Cursor) list() {
	if c.raw.IsSet() && c.raw.Kind() != rawjson.Array {
		c.fail("want a list, got %s", c.raw.Kind())
	}
}

// Append adds a value after the list's elements. An absent list is created.
func (c *Cursor) Append(value json.RawMessage) {
	c.list()
	if c.take(value) {
		c.appends.push(c.session.addition(value))
	}
}

// Prepend adds a value before the list's elements, and after those prepended earlier. An absent list is created.
func (c *Cursor) Prepend(value json.RawMessage) {
	c.list()
	if c.take(value) {
		c.prepends.push(c.session.addition(value))
	}
}

// usualOperations is how many operations an injection usually has.
const usualOperations = 16

// Operations returns the journal as operations, nil when nothing was added, or the first misuse.
func (s *Session) Operations() ([]Operation, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.top.empty() {
		return nil, nil
	}
	var usualEnds [usualOperations]int
	l := listing{ops: make([]Operation, 0, usualOperations), paths: make([]byte, 0, 1024), ends: usualEnds[:0]}
	s.top.emit(append(make([]byte, 0, 128), s.pointer...), &l)
	return l.operations(), nil
}

// listing collects operations, with their paths one after the other in one buffer.
type listing struct {
	ops   []Operation
	paths []byte
	ends  []int
}

func (l *listing) add(pointer []byte, value json.RawMessage) {
	l.ops = append(l.ops, Operation{Value: value})
	l.paths = append(l.paths, pointer...)
	l.ends = append(l.ends, len(l.paths))
}

func (l *listing) operations() []Operation {
	paths, start := string(l.paths), 0
	for i, end := range l.ends {
		l.ops[i].Path, start = paths[start:end], end
	}
	return l.ops
}

// empty reports whether the place holds no addition: a Member that was only looked up must not create a parent.
func (c *Cursor) empty() bool {
	if c.value != nil || c.prepends.first != nil || c.appends.first != nil {
		return false
	}
	for child := c.first; child != nil; child = child.next {
		if !child.empty() {
			return false
		}
	}
	return true
}

func (c *Cursor) emit(pointer []byte, l *listing) {
	if c.empty() {
		return
	}
	if !c.raw.IsSet() || c.replaces {
		value := c.value
		if value == nil {
			value = c.render(make(json.RawMessage, 0, 128))
		}
		l.add(pointer, value)
		return
	}
	// Elements come before what is prepended: their indexes are those of the raw list, which a prepended value shifts.
	for child := c.first; child != nil; child = child.next {
		below := append(pointer, '/')
		if c.raw.Kind() == rawjson.Array {
			below = strconv.AppendInt(below, int64(child.index), 10)
		} else {
			below = appendEscaped(below, child.name)
		}
		child.emit(below, l)
	}
	index := int64(0)
	for a := c.prepends.first; a != nil; a = a.next {
		l.add(strconv.AppendInt(append(pointer, '/'), index, 10), a.value)
		index++
	}
	for a := c.appends.first; a != nil; a = a.next {
		l.add(append(pointer, "/-"...), a.value)
	}
}

// render appends the JSON of a place that the target does not have.
func (c *Cursor) render(dst json.RawMessage) json.RawMessage {
	switch {
	case c.value != nil:
		return append(dst, c.value...)
	case c.first != nil:
		dst = append(dst, '{')
		start := len(dst)
		for m := c.first; m != nil; m = m.next {
			if m.empty() {
				continue
			}
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, m.name)
			dst = append(dst, ':')
			dst = m.render(dst)
		}
		return append(dst, '}')
	default:
		dst = append(dst, '[')
		start := len(dst)
		for _, list := range [...]additions{c.prepends, c.appends} {
			for a := list.first; a != nil; a = a.next {
				if len(dst) > start {
					dst = append(dst, ',')
				}
				dst = append(dst, a.value...)
			}
		}
		return append(dst, ']')
	}
}

// EscapePointer escapes a member name for use in a JSON pointer (RFC 6901: ~ as ~0, / as ~1).
func EscapePointer(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return string(appendEscaped(nil, name))
}

func appendEscaped(dst []byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; c {
		case '~':
			dst = append(dst, "~0"...)
		case '/':
			dst = append(dst, "~1"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
