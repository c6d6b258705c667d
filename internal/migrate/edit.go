package migrate

import (
	"bytes"
	"fmt"
	"slices"
)

// edit replaces a range of a text; an empty range inserts.
type edit struct {
	start, end int // byte offsets
	text       string
}

// applyEdits returns the text with the edits made. Ranges that overlap are one: what is removed twice is removed once.
func applyEdits(text []byte, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		if e.start > at {
			out.Write(text[at:e.start])
		}
		out.WriteString(e.text)
		at = max(at, e.end)
	}
	out.Write(text[at:])
	return out.Bytes()
}

// lineIndex converts the lines and columns that parsers report to byte offsets.
type lineIndex struct {
	text   []byte
	starts []int // offset of each line
}

func indexLines(text []byte) lineIndex {
	starts := []int{0}
	for at, c := range text {
		if c == '\n' {
			starts = append(starts, at+1)
		}
	}
	return lineIndex{text, starts}
}

// offset returns where the character at a line and column is, both from 1; columns count runes.
func (l lineIndex) offset(line, column int) int {
	if line < 1 || line > len(l.starts) {
		return len(l.text)
	}
	at := l.starts[line-1]
	for n, r := range string(l.line(line)) {
		_ = r
		if column--; column == 0 {
			return at + n
		}
	}
	return at + len(l.line(line))
}

// line returns a line, from 1, without its end.
func (l lineIndex) line(n int) []byte {
	end := len(l.text)
	if n < len(l.starts) {
		end = l.starts[n]
	}
	return bytes.TrimRight(l.text[l.starts[n-1]:end], "\r\n")
}

// start returns the offset of a line from 1; the line after the last one starts at the end of the text.
func (l lineIndex) start(line int) int {
	if line > len(l.starts) {
		return len(l.text)
	}
	return l.starts[line-1]
}

// lineOf returns the line, from 1, that an offset is in.
func (l lineIndex) lineOf(offset int) int {
	n, found := slices.BinarySearch(l.starts, offset)
	if found {
		return n + 1
	}
	return n
}

// newline is the line end that the text uses.
func (l lineIndex) newline() string {
	if bytes.Contains(l.text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// indentOf returns how many spaces a line starts with, and whether it is blank or a comment.
func indentOf(line []byte) (indent int, blank, comment bool) {
	rest := bytes.TrimLeft(line, " ")
	indent = len(line) - len(rest)
	rest = bytes.TrimSpace(rest)
	return indent, len(rest) == 0, len(rest) > 0 && rest[0] == '#'
}

// mergeKey stands for an anchor where a mapping merges in another.
const mergeKey = "<<"

// sharedError is an entry that cannot be removed alone: the text has it once, for several places.
type sharedError struct {
	line   int
	anchor string
}

func (e *sharedError) Error() string {
	if e.anchor == mergeKey {
		return fmt.Sprintf("line %d merges in what stands elsewhere (<<): an edit there would change other places too", e.line)
	}
	return fmt.Sprintf("line %d is shared by the YAML anchor &%s with other places: an edit there would change those too", e.line, e.anchor)
}
