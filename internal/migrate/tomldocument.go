package migrate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlDocument is a TOML file, with the places of its tables and values in the text.
type tomlDocument struct {
	lineIndex
	content  map[string]any
	sections []*tomlSection
	nested   map[string]*nestedYAML // by the pointer of the text
}

// tomlSection is a table with a header of its own; the first is what stands before any header.
type tomlSection struct {
	pointer    string
	start, end int // whole lines, with the comment right above the header
	header     int // offset of the header's line
	values     []*tomlValue
}

// tomlValue is a key with its value.
type tomlValue struct {
	pointer    string
	start, end int
	elements   []span // of an array
	inline     bool   // a table in braces
}

// span is a range of the text.
type span struct{ start, end int }

// parseTOML reads a TOML file.
func parseTOML(text []byte) (*tomlDocument, error) {
	d := &tomlDocument{lineIndex: indexLines(text), nested: map[string]*nestedYAML{}}
	if err := toml.Unmarshal(text, &d.content); err != nil {
		var wrong *toml.DecodeError
		if errors.As(err, &wrong) {
			line, _ := wrong.Position()
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		return nil, err
	}
	reader := tomlReader{document: d, counts: map[string]int{}}
	reader.parser.Reset(text)
	reader.begin("", 0, 0)
	for reader.parser.NextExpression() {
		reader.expression(reader.parser.Expression())
	}
	if err := reader.parser.Error(); err != nil {
		return nil, err
	}
	for i, s := range d.sections {
		s.end = len(text)
		if i+1 < len(d.sections) {
			s.end = d.sections[i+1].start
		}
	}
	return d, nil
}

// tomlReader collects the places of a file's parts.
type tomlReader struct {
	parser   unstable.Parser
	document *tomlDocument
	counts   map[string]int // elements so far of arrays of tables, by pointer
}

func (r *tomlReader) begin(pointer string, start, header int) {
	r.document.sections = append(r.document.sections, &tomlSection{pointer: pointer, start: start, header: header})
}

func (r *tomlReader) expression(node *unstable.Node) {
	switch node.Kind {
	case unstable.Table, unstable.ArrayTable:
		at, start := r.keys("", node.Key(), true), r.keyStart(node)
		if node.Kind == unstable.ArrayTable {
			n := r.counts[at]
			r.counts[at] = n + 1
			at += pointer(strconv.Itoa(n))
		}
		line := r.document.lineOf(start)
		r.begin(at, r.document.start(r.document.commentAbove(line)), r.document.start(line))
	case unstable.KeyValue:
		section := r.document.sections[len(r.document.sections)-1]
		at := r.keys(section.pointer, node.Key(), false)
		value := &tomlValue{pointer: at, start: int(node.Raw.Offset), end: int(node.Raw.Offset + node.Raw.Length)}
		section.values = append(section.values, value)
		r.value(value, node.Value())
	}
}

// keyStart returns where the first key of a header is.
func (r *tomlReader) keyStart(node *unstable.Node) int {
	it := node.Key()
	it.Next()
	return int(it.Node().Raw.Offset)
}

// keys follows keys from a pointer; through an array of tables they lead to its latest element.
func (r *tomlReader) keys(at string, it unstable.Iterator, header bool) string {
	for it.Next() {
		if n := r.counts[at]; header && n > 0 {
			at += pointer(strconv.Itoa(n - 1))
		}
		at += pointer(string(it.Node().Data))
	}
	return at
}

func (r *tomlReader) value(v *tomlValue, node *unstable.Node) {
	switch node.Kind {
	case unstable.InlineTable:
		v.inline = true
	case unstable.Array:
		for it := node.Children(); it.Next(); {
			n := it.Node()
			if n.Kind == unstable.Comment {
				continue
			}
			if n.Kind != unstable.String {
				v.elements = nil
				return
			}
			v.elements = append(v.elements, span{int(n.Raw.Offset), int(n.Raw.Offset + n.Raw.Length)})
		}
	case unstable.String:
		raw, value := string(r.parser.Raw(node.Raw)), string(node.Data)
		// Only a text without escapes is in the file as it is.
		before := strings.Index(raw, value)
		if before < 0 || strings.Trim(raw[:before]+raw[before+len(value):], "'\"\r\n") != "" {
			return
		}
		documents, err := parseNested(node.Data)
		if err == nil && len(documents) == 1 {
			r.document.nested[v.pointer] = &nestedYAML{documents[0], inset{inner: indexLines(node.Data), outer: r.document.lineIndex,
				verbatim: true, start: int(node.Raw.Offset) + before}}
		}
	}
}

// commentAbove returns the first line of the comment right above a line.
func (l lineIndex) commentAbove(line int) int {
	for line > 1 {
		if _, _, comment := indentOf([]byte(strings.TrimLeft(string(l.line(line-1)), "\t"))); !comment {
			break
		}
		line--
	}
	return line
}

func (d *tomlDocument) tree() any { return d.content }

// lineAt returns the line of the entry, or of the closest one around it.
func (d *tomlDocument) lineAt(pointer string) int {
	if n, inside := d.nestedAt(pointer); n != nil {
		return n.line(n.lineAt(inside))
	}
	best, length := 0, -1
	consider := func(at string, offset int) {
		if _, within := cutPointer(pointer, at); within && len(at) > length {
			best, length = offset, len(at)
		}
	}
	for _, s := range d.sections {
		consider(s.pointer, s.header)
		for _, v := range s.values {
			consider(v.pointer, v.start)
			if i, ok := elementOf(pointer, v); ok {
				return d.lineOf(v.elements[i].start)
			}
		}
	}
	return d.lineOf(best)
}

// nestedAt returns the YAML that a pointer leads into, and the pointer in it.
func (d *tomlDocument) nestedAt(pointer string) (*nestedYAML, string) {
	for at, n := range d.nested {
		if rest, inside := cutPointer(pointer, at); inside && rest != "" {
			return n, rest
		}
	}
	return nil, ""
}

// elementOf returns the index of the array's element that a pointer leads to.
func elementOf(at string, v *tomlValue) (int, bool) {
	rest, inside := cutPointer(at, v.pointer)
	if !inside || rest == "" {
		return 0, false
	}
	i, err := strconv.Atoi(rest[1:])
	return i, err == nil && i >= 0 && i < len(v.elements)
}
