package patch

import (
	"encoding/json"
	"errors"
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

// usualOperations is how many operations an injection usually has.
const usualOperations = 16

var errEnded = errors.New("the session has ended: its operations were asked for before")

// Operations returns the journal as operations, nil when nothing was added, or the first misuse. It ends the session: after it,
// neither the session nor its Cursors may be used.
func (s *Session) Operations() ([]Operation, error) {
	m := s.memory
	if m == nil {
		return nil, errEnded
	}
	s.memory = nil
	defer m.release()
	if s.err != nil {
		return nil, s.err
	}
	if s.top.empty() {
		return nil, nil
	}
	var usualEnds [usualOperations]int
	l := listing{ops: make([]Operation, 0, usualOperations), paths: m.paths[:0], ends: usualEnds[:0]}
	s.top.emit(append(m.pointer[:0], s.pointer...), &l)
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
