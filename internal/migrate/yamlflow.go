package migrate

import (
	"bytes"
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"
)

// removeFlow removes entries of a collection in brackets, which JSON's all are.
func (d *yamlDocument) removeFlow(collection *yaml.Node, indices map[int]bool) ([]edit, error) {
	all := entries(collection)
	var edits []edit
	for n := 0; n < len(all); n++ {
		if !indices[all[n]] {
			continue
		}
		first := n
		for n+1 < len(all) && indices[all[n+1]] {
			n++
		}
		start := d.nodeOffset(collection.Content[all[first]])
		if n+1 < len(all) {
			edits = append(edits, edit{start: start, end: d.nodeOffset(collection.Content[all[n+1]])})
			continue
		}
		end, err := d.flowEnd(d.nodeOffset(collection.Content[all[n]]))
		if err != nil {
			return nil, err
		}
		// The last entries go with the comma before them.
		start = len(bytes.TrimRight(d.text[:start], " \t\r\n"))
		if start > 0 && d.text[start-1] == ',' {
			start--
		}
		edits = append(edits, edit{start: start, end: end})
	}
	return edits, nil
}

// closing returns where a quoted text or a collection in brackets ends; 0 where none starts.
func (d *yamlDocument) closing(at int) int {
	if at >= len(d.text) {
		return 0
	}
	quote := d.text[at]
	switch quote {
	case '{', '[':
		end, _ := d.flowEnd(at)
		return end
	case '"', '\'':
	default:
		return 0
	}
	for at++; at < len(d.text); at++ {
		switch {
		case quote == '"' && d.text[at] == '\\':
			at++
		case d.text[at] == quote && quote == '\'' && at+1 < len(d.text) && d.text[at+1] == quote:
			at++ // two stand for one
		case d.text[at] == quote:
			return at + 1
		}
	}
	return 0
}

// flowEnd returns where the entry ends that starts at an offset within brackets, or the collection in brackets that does.
func (d *yamlDocument) flowEnd(at int) (int, error) {
	depth := 0
	for quote := byte(0); at < len(d.text); at++ {
		c := d.text[at]
		switch {
		case quote == '"' && c == '\\':
			at++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"', c == '\'' && d.isAfter(at, " \t\n:,[{"):
			quote = c
		case c == '#' && d.isAfter(at, " \t\n"):
			at += bytes.IndexByte(append(d.text[at:len(d.text):len(d.text)], '\n'), '\n')
		case c == '{', c == '[':
			depth++
		case depth == 0 && (c == ',' || c == '}' || c == ']'):
			return len(bytes.TrimRight(d.text[:at], " \t\r\n")), nil
		case c == '}', c == ']':
			if depth--; depth == 0 {
				return at + 1, nil
			}
		}
	}
	return 0, errors.New("a bracket is not closed")
}

// isAfter reports whether one of the characters stands before an offset.
func (d *yamlDocument) isAfter(at int, characters string) bool {
	return at == 0 || strings.IndexByte(characters, d.text[at-1]) >= 0
}
