package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// inset maps a text to where a file has it: as it is, or in a block of YAML, whose lines are indented.
type inset struct {
	inner, outer lineIndex
	verbatim     bool
	start        int // of a text that is there as it is
	first        int // the line of the file that a block's first line is
	indent       int
}

// offset converts an offset of the text; the start of a line is that of the file's line.
func (in inset) offset(inner int) int {
	if in.verbatim {
		return in.start + inner
	}
	line := in.inner.lineOf(inner)
	start := in.outer.start(in.first + line - 1)
	if column := inner - in.inner.start(line); column > 0 {
		return start + in.indent + column
	}
	return start
}

// line converts a line of the text.
func (in inset) line(inner int) int {
	if in.verbatim {
		return in.outer.lineOf(in.start) + inner - 1
	}
	return in.first + inner - 1
}

// toOuter converts edits of the text to edits of the file.
func (in inset) toOuter(edits []edit) []edit {
	for i, inner := range edits {
		text, end := inner.text, in.offset(inner.end)
		if !in.verbatim {
			text = in.indented(inner)
			wholeLines := in.inner.start(in.inner.lineOf(inner.start)) == inner.start && text == ""
			if wholeLines && in.endsWithout(inner.end) {
				end = in.outer.start(in.line(len(in.inner.starts)) + 1)
			}
		}
		edits[i] = edit{in.offset(inner.start), end, text}
	}
	return edits
}

// endsWithout reports whether the text ends at an offset, and without the end of the line that the file has there.
func (in inset) endsWithout(at int) bool {
	return at > 0 && at == len(in.inner.text) && in.inner.text[at-1] != '\n'
}

func (in inset) indented(e edit) string {
	pad := strings.Repeat(" ", in.indent)
	var b strings.Builder
	atStart := in.inner.start(in.inner.lineOf(e.start)) == e.start
	for line := range strings.Lines(e.text) {
		if atStart && strings.TrimSpace(line) != "" {
			b.WriteString(pad)
		}
		b.WriteString(line)
		atStart = true
	}
	return b.String()
}

// inset finds the text of a node in the file; false where it is not there as it is, but with escapes or folded.
func (d *yamlDocument) inset(node *yaml.Node) (inset, bool) {
	in := inset{inner: indexLines([]byte(node.Value)), outer: d.lineIndex, indent: -1}
	if node.Style&yaml.LiteralStyle == 0 {
		in.verbatim, in.start = true, d.nodeOffset(node)
		if quote := node.Style & (yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle); quote != 0 {
			in.start++
		}
		end := in.start + len(node.Value)
		return in, end <= len(d.text) && string(d.text[in.start:end]) == node.Value
	}
	in.first = node.Line + 1
	for n := 1; n <= len(in.inner.starts); n++ {
		own := string(in.inner.line(n))
		if own == "" {
			continue
		}
		if in.first+n-1 > len(d.starts) {
			return in, false
		}
		line := string(d.line(in.first + n - 1))
		if in.indent < 0 {
			in.indent = len(line) - len(strings.TrimLeft(line, " ")) - (len(own) - len(strings.TrimLeft(own, " ")))
		}
		if in.indent < 0 || len(line) < in.indent || line[in.indent:] != own {
			return in, false
		}
	}
	return in, in.indent >= 0
}

// nestedYAML is YAML in a text of the file.
type nestedYAML struct {
	*yamlDocument
	inset
}

// removeInside returns the edits of the file that take entries out of the text, and whether nothing is left of it then.
func (n *nestedYAML) removeInside(pointers []string) (edits []edit, empty bool, err error) {
	inner, err := n.remove(pointers)
	if err != nil {
		return nil, false, err
	}
	switch strings.TrimSpace(string(applyEdits(n.text, slices.Clone(inner)))) {
	case "", "{}", "[]":
		return nil, true, nil
	}
	return n.toOuter(inner), false, nil
}

// podSpecPatch is the key of the text in which Argo Workflows has a patch of a pod's spec.
const podSpecPatch = "podSpecPatch"

// nest reads the YAML in a text, if it can be edited there.
func (d *yamlDocument) nest(node *yaml.Node) {
	in, found := d.inset(node)
	documents, err := parseNested([]byte(node.Value))
	if found && err == nil && len(documents) == 1 {
		d.nested[node] = &nestedYAML{documents[0], in}
	}
}

// nestedAt returns the YAML in a text that a pointer leads into, with the pointers of the text and in it; nil where there is none.
func (d *yamlDocument) nestedAt(p string) (n *nestedYAML, at, inside string) {
	node := d.root
	for _, name := range names(p) {
		next, _, ok := child(node, name)
		if !ok {
			return nil, "", ""
		}
		node, at = next, at+pointer(name)
		if n := d.nested[node]; n != nil && at != p {
			return n, at, p[len(at):]
		}
	}
	return nil, "", ""
}
