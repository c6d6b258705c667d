package rawjson

import (
	"fmt"
	"math/bits"
)

func (p *parser) literal(word string, kind Kind) *SyntaxError {
	if len(p.text)-p.pos < len(word) || p.text[p.pos:p.pos+len(word)] != word {
		return p.fail("an unknown word where a value is expected")
	}
	start := p.pos
	p.pos += len(word)
	return p.leaf(start, kind, false)
}

// plain holds the bytes that need no escape in a string.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainEnd returns the index of the first byte from i on that needs an escape or ends the string. It looks at eight bytes at a
// time (Bit Twiddling Hacks, "determine if a word has a byte less than n"): the lowest bit found is exact.
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
	start := p.pos
	i := plainEnd(p.text, start+1)
	if i >= len(p.text) || p.text[i] != '"' {
		return p.escapedStr(i)
	}
	p.pos = i + 1
	return p.leaf(start, String, false)
}

// escapedStr reads on in a string, from the first byte that needs an escape.
func (p *parser) escapedStr(i int) *SyntaxError {
	start, text := p.pos, p.text
	for i < len(text) && text[i] != '"' {
		if text[i] != '\\' {
			p.pos = i
			return p.fail(fmt.Sprintf("control character %#02x inside a string", text[i]))
		}
		size := escapeSize(text[i:])
		if size == 0 {
			p.pos = i
			return p.fail("an unknown escape inside a string")
		}
		i = plainEnd(text, i+size)
	}
	if i >= len(text) {
		p.pos = i
		return p.fail("the text ends inside a string")
	}
	p.pos = i + 1
	return p.leaf(start, String, true)
}

// escapeSize returns the length of the escape that s starts with, or 0 if it is not an escape.
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
	start := p.pos
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
	return p.leaf(start, Number, false)
}
