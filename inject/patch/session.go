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
	"sync"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Session journals additions to one JSON object.
type Session struct {
	pointer string
	top     Cursor
	err     error

	size, limit int

	*memory // nil once Operations has been called
}

// memory is what a usual session takes, a third of the memory of a decision. It serves one session after the other.
type memory struct {
	cursors   room[Cursor]
	additions room[addition]
	// pointer and paths are Operations'.
	pointer [128]byte
	paths   [1024]byte
}

var memories = sync.Pool{New: func() any { return new(memory) }}

// release gives the memory back, without what the session journalled. Operations writes over pointer and paths from their start.
func (m *memory) release() {
	m.cursors.clear()
	m.additions.clear()
	memories.Put(m)
}

// room holds the first values of a session, which saves a usual injection an allocation for each.
type room[T any] struct {
	values [16]T
	used   int
}

func (r *room[T]) next() *T {
	if r.used == len(r.values) {
		return new(T)
	}
	r.used++
	return &r.values[r.used-1]
}

func (r *room[T]) clear() {
	clear(r.values[:r.used])
	r.used = 0
}

// cursor returns a new place of the session.
func (s *Session) cursor(raw rawjson.Value) *Cursor {
	c := s.cursors.next()
	c.session, c.raw = s, raw
	return c
}

// addition returns a new value of a list.
func (s *Session) addition(value json.RawMessage) *addition {
	a := s.additions.next()
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
	s := &Session{pointer: pointer, limit: limit, memory: memories.Get().(*memory)}
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
