package rawjson

import (
	"fmt"
	"math/bits"
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

func (p *parser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// open records a node that starts at the current byte and returns its index.
func (p *parser) open(kind Kind) (int, *SyntaxError) {
	if p.opaque > 0 {
		return -1, nil
	}
	if len(p.nodes) >= MaxValues {
		return 0, p.fail(fmt.Sprintf("more than %d values", MaxValues))
	}
	p.nodes = append(p.nodes, node{start: uint32(p.pos), kind: kind})
	return len(p.nodes) - 1, nil
}

// close completes a node that ends before the current byte.
func (p *parser) close(at int, count int) {
	if at >= 0 {
		n := &p.nodes[at]
		n.end, n.next, n.count = uint32(p.pos), uint32(len(p.nodes)), uint32(count)
	}
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

func (p *parser) literal(word string, kind Kind) *SyntaxError {
	if len(p.text)-p.pos < len(word) || p.text[p.pos:p.pos+len(word)] != word {
		return p.fail("an unknown word where a value is expected")
	}
	at, err := p.open(kind)
	if err != nil {
		return err
	}
	p.pos += len(word)
	p.close(at, 0)
	return nil
}

// plain holds the bytes that may stand in a string as they are.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainEnd returns the first byte from i on that may not stand in a string as it is. It looks at eight bytes at a time
// (Bit Twiddling Hacks, "determine if a word has a byte less than n"): the lowest bit found is exact.
func plainEnd(text string, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(text); i += 8 {
		s := text[i : i+8]
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, slash := w^ones*'"', w^ones*'\\'
		if found := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs; found != 0 {
			return i + bits.TrailingZeros64(found)>>3
		}
	}
	for i < len(text) && plain[text[i]] {
		i++
	}
	return i
}

func (p *parser) str() *SyntaxError {
	at, err := p.open(String)
	if err != nil {
		return err
	}
	text, i, escaped := p.text, p.pos+1, false
	for {
		i = plainEnd(text, i)
		if i >= len(text) {
			p.pos = i
			return p.fail("the text ends inside a string")
		}
		if text[i] == '"' {
			break
		}
		if text[i] != '\\' {
			p.pos = i
			return p.fail(fmt.Sprintf("control character %#02x inside a string", text[i]))
		}
		escaped = true
		size := escapeSize(text[i:])
		if size == 0 {
			p.pos = i
			return p.fail("an unknown escape inside a string")
		}
		i += size
	}
	p.pos = i + 1
	p.close(at, 0)
	if at >= 0 {
		p.nodes[at].escaped = escaped
	}
	return nil
}

// escapeSize returns the length of the escape that s starts with, or 0 where it is none.
func escapeSize(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) < 6 {
			return 0
		}
		for _, c := range []byte(s[2:6]) {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func (p *parser) digits() bool {
	start := p.pos
	for p.pos < len(p.text) && p.text[p.pos] >= '0' && p.text[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) number() *SyntaxError {
	at, err := p.open(Number)
	if err != nil {
		return err
	}
	if p.text[p.pos] == '-' {
		p.pos++
	}
	first := p.pos
	if !p.digits() {
		return p.fail("a number without digits")
	}
	if p.text[first] == '0' && p.pos > first+1 {
		return p.fail("a number with a leading zero")
	}
	if p.pos < len(p.text) && p.text[p.pos] == '.' {
		p.pos++
		if !p.digits() {
			return p.fail("a number without digits after its point")
		}
	}
	if p.pos < len(p.text) && (p.text[p.pos] == 'e' || p.text[p.pos] == 'E') {
		p.pos++
		if p.pos < len(p.text) && (p.text[p.pos] == '+' || p.text[p.pos] == '-') {
			p.pos++
		}
		if !p.digits() {
			return p.fail("a number without digits in its exponent")
		}
	}
	p.close(at, 0)
	return nil
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

// duplicates refuses an object that names a member twice: readers disagree on which one counts, so a decision made on
// one of them could be applied to the other.
func (p *parser) duplicates(at int) *SyntaxError {
	if at < 0 || p.nodes[at].count < 2 {
		return nil
	}
	const pairwise = 24
	var seen map[string]struct{}
	if p.nodes[at].count > pairwise {
		seen = make(map[string]struct{}, p.nodes[at].count)
	}
	end := int(p.nodes[at].next)
	for i := at + 1; i < end; i = int(p.nodes[i+1].next) {
		name := p.unquoted(i)
		repeated := false
		if seen != nil {
			_, repeated = seen[name]
			seen[name] = struct{}{}
		} else {
			for j := at + 1; j < i && !repeated; j = int(p.nodes[j+1].next) {
				repeated = p.unquoted(j) == name
			}
		}
		if repeated {
			p.pos = int(p.nodes[i].start)
			return p.fail(fmt.Sprintf("member %.100q appears twice", name))
		}
	}
	return nil
}

func (p *parser) unquoted(at int) string { return unquote(p.text, &p.nodes[at]) }
