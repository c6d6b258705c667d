// Package terminal makes text fit for a terminal. Names, annotations and messages come from manifests and from other programs, and
// until the API server has validated them they can hold anything: sequences that recolour, erase or reorder what stands around
// them, or a newline with a line of their own after it.
package terminal

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Escape returns the text with every character that does not print, newlines and those that change the direction of writing
// among them, in the form that Go's string literals have for it. What it returns it leaves as it is: backslashes are not escaped.
func Escape(text string) string {
	clean := 0
	for clean < len(text) {
		r, size := utf8.DecodeRuneInString(text[clean:])
		if !prints(r, size) {
			break
		}
		clean += size
	}
	if clean == len(text) {
		return text
	}
	var b strings.Builder
	b.WriteString(text[:clean])
	for at := clean; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		switch {
		case prints(r, size):
			b.WriteString(text[at : at+size])
		case size == 1 && r == utf8.RuneError:
			fmt.Fprintf(&b, `\x%02x`, text[at])
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		at += size
	}
	return b.String()
}

// EscapeLines is Escape line by line: the newlines and tabs of a text that is laid out in lines, such as a diff, stay.
func EscapeLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		for i, part := range strings.Split(line, "\t") {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(Escape(part))
		}
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Line writes one line, escaped.
func Line(w io.Writer, format string, args ...any) error {
	_, err := io.WriteString(w, Escape(fmt.Sprintf(format, args...))+"\n")
	return err
}

// prints reports whether a rune, decoded from so many bytes, is shown as it is: letters, marks, digits, punctuation, symbols and
// the ASCII space.
func prints(r rune, size int) bool { return strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) }
