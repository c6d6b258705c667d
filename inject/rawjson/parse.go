package rawjson

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type parser struct {
	text   string
	pos    int
	nodes  []node
	opaque int // above zero: check the syntax, index nothing
}

func (p *parser) fail(problem string) *SyntaxError {
	return &SyntaxError{Offset: p.pos, Problem: problem}
}

// space skips white space. Its check is inlined, so that the text of an API server, which has none, costs no call.
func (p *parser) space() {
	if p.pos < len(p.text) && p.text[p.pos] <= ' ' {
		p.skipSpace()
	}
}

func (p *parser) skipSpace() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// grow makes room for a node. Only here is the number of values bounded: there is never room for more.
func (p *parser) grow() *SyntaxError {
	at := len(p.nodes)
	if at >= MaxValues {
		return p.fail(fmt.Sprintf("more than %d values", MaxValues))
	}
	p.nodes = append(p.nodes, node{})
	p.nodes = p.nodes[:at:min(cap(p.nodes), MaxValues)]
	return nil
}

// open records a node that starts at the current byte and returns its index.
func (p *parser) open(kind Kind) (int, *SyntaxError) {
	if p.opaque > 0 {
		return -1, nil
	}
	at := len(p.nodes)
	if at == cap(p.nodes) {
		if err := p.grow(); err != nil {
			return 0, err
		}
	}
	p.nodes = p.nodes[:at+1]
	n := &p.nodes[at]
	n.start, n.kind, n.escaped = uint32(p.pos), kind, false
	return at, nil
}

// close completes a node that ends before the current byte.
func (p *parser) close(at int, count int) {
	if at >= 0 {
		n := &p.nodes[at]
		n.end, n.next, n.count = uint32(p.pos), uint32(len(p.nodes)), uint32(count)
	}
}

// leaf records a whole node without others below it, which ends before the current byte. It sets the fields in place: a
// copy of a node that was just made stalls the processor until its stores have ended (store forwarding).
func (p *parser) leaf(start int, kind Kind, escaped bool) *SyntaxError {
	if p.opaque > 0 {
		return nil
	}
	at := len(p.nodes)
	if at == cap(p.nodes) {
		if err := p.grow(); err != nil {
			return err
		}
	}
	p.nodes = p.nodes[:at+1]
	n := &p.nodes[at]
	n.start, n.end, n.next, n.count = uint32(start), uint32(p.pos), uint32(at+1), 0
	n.kind, n.escaped = kind, escaped
	return nil
}

func (p *parser) value(depth int) *SyntaxError {
	p.space()
	if p.pos >= len(p.text) {
		return p.fail("the text ends where a value is expected")
	}
	switch c := p.text[p.pos]; {
	case c == '"':
		return p.str()
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return p.literal("true", Bool)
	case c == 'f':
		return p.literal("false", Bool)
	case c == 'n':
		return p.literal("null", Null)
	default:
		r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
		return p.fail(fmt.Sprintf("%q where a value is expected", r))
	}
}

func (p *parser) array(depth int) *SyntaxError {
	if depth >= MaxDepth {
		return p.fail(fmt.Sprintf("nested deeper than %d levels", MaxDepth))
	}
	at, err := p.open(Array)
	if err != nil {
		return err
	}
	p.pos++
	for count := 0; ; count++ {
		p.space()
		if p.pos < len(p.text) && p.text[p.pos] == ']' && count == 0 {
			p.pos++
			p.close(at, 0)
			return nil
		}
		if err := p.value(depth + 1); err != nil {
			return err.under(elementSegment(count))
		}
		more, err := p.separator(']', "list")
		if err != nil {
			return err.under(elementSegment(count))
		}
		if !more {
			p.close(at, count+1)
			return nil
		}
	}
}

// separator reads the comma between two values (true) or the end of their container (false).
func (p *parser) separator(end byte, of string) (bool, *SyntaxError) {
	p.space()
	if p.pos >= len(p.text) {
		return false, p.fail("the text ends inside " + map[string]string{"list": "a list", "object": "an object"}[of])
	}
	switch p.text[p.pos] {
	case ',':
		p.pos++
		return true, nil
	case end:
		p.pos++
		return false, nil
	}
	return false, p.fail(fmt.Sprintf("neither a comma nor the end of the %s after a value", of))
}

const emptyMember = ":{}"

func (p *parser) object(depth int) *SyntaxError {
	if depth >= MaxDepth {
		return p.fail(fmt.Sprintf("nested deeper than %d levels", MaxDepth))
	}
	at, err := p.open(Object)
	if err != nil {
		return err
	}
	p.pos++
	for count := 0; ; count++ {
		p.space()
		if p.pos < len(p.text) && p.text[p.pos] == '}' && count == 0 {
			p.pos++
			p.close(at, 0)
			return nil
		}
		if p.pos >= len(p.text) || p.text[p.pos] != '"' {
			return p.fail("no member name where one is expected in an object")
		}
		nameStart := p.pos
		if err := p.str(); err != nil {
			return err
		}
		name := p.text[nameStart:p.pos]
		if p.opaque > 0 && depth+1 < MaxDepth && strings.HasPrefix(p.text[p.pos:], emptyMember) {
			// What most of managedFields consists of.
			p.pos += len(emptyMember)
			if p.pos < len(p.text) && p.text[p.pos] == ',' {
				p.pos++
				continue
			}
			more, err := p.separator('}', "object")
			if err != nil {
				return err.under(memberSegment(name))
			}
			if !more {
				return nil
			}
			continue
		}
		p.space()
		if p.pos >= len(p.text) || p.text[p.pos] != ':' {
			return p.fail("no colon after a member name").under(memberSegment(name))
		}
		p.pos++
		if err := p.member(name, depth); err != nil {
			return err.under(memberSegment(name))
		}
		if p.pos < len(p.text) && p.text[p.pos] == ',' {
			p.pos++
			continue
		}
		more, err := p.separator('}', "object")
		if err != nil {
			return err.under(memberSegment(name))
		}
		if !more {
			p.close(at, count+1)
			return p.duplicates(at)
		}
	}
}

func (p *parser) member(name string, depth int) *SyntaxError {
	if p.opaque > 0 || name != `"`+opaqueMember+`"` {
		return p.value(depth + 1)
	}
	p.space()
	at, err := p.open(Missing)
	if err != nil {
		return err
	}
	first := p.pos
	p.opaque++
	err = p.value(depth + 1)
	p.opaque--
	if err != nil {
		return err
	}
	p.close(at, 0)
	p.nodes[at].kind = kindAt(p.text[first])
	return nil
}

func kindAt(c byte) Kind {
	switch c {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	}
	return Number
}
