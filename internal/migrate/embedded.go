package migrate

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// embeddedTOML is a config.toml in a block of YAML, as the values of GitLab Runner's chart have it. Its lines are those of the
// block, without the indentation.
type embeddedTOML struct {
	*tomlDocument
	outer  lineIndex
	first  int // the line of the file that its first line is
	indent int
}

// embedded returns the runners' configurations in a document's blocks.
func (d *yamlDocument) embedded() []*embeddedTOML {
	var all []*embeddedTOML
	var visit func(node *yaml.Node)
	visit = func(node *yaml.Node) {
		if node.Kind == yaml.ScalarNode && node.Style == yaml.LiteralStyle && strings.Contains(node.Value, "[[runners]]") {
			if inner, err := parseTOML([]byte(node.Value)); err == nil {
				if e := d.embed(node, inner); e != nil {
					all = append(all, e)
				}
			}
		}
		for _, c := range node.Content {
			visit(c)
		}
	}
	visit(d.root)
	return all
}

// embed finds the block's lines in the file; nil where they are not the text's.
func (d *yamlDocument) embed(node *yaml.Node, inner *tomlDocument) *embeddedTOML {
	e := &embeddedTOML{tomlDocument: inner, outer: d.lineIndex, first: node.Line + 1, indent: -1}
	for n := 1; n < len(inner.starts); n++ {
		if e.first+n-1 > len(d.starts) {
			return nil
		}
		own, line := string(inner.line(n)), string(d.line(e.first+n-1))
		if own == "" {
			continue
		}
		if e.indent < 0 {
			e.indent = len(line) - len(strings.TrimLeft(line, " ")) - (len(own) - len(strings.TrimLeft(own, " ")))
		}
		if e.indent < 0 || len(line) < e.indent || line[e.indent:] != own {
			return nil
		}
	}
	return e
}

// outside returns whether an offset of the file lies outside the block.
func (e *embeddedTOML) outside(offset int) bool {
	line := e.outer.lineOf(offset)
	return line < e.first || line >= e.first+len(e.starts)
}

// toOuter converts edits of the block's text to edits of the file.
func (e *embeddedTOML) toOuter(edits []edit) []edit {
	for i, inner := range edits {
		pad := strings.Repeat(" ", e.indent)
		var b strings.Builder
		atStart := e.start(e.lineOf(inner.start)) == inner.start
		for line := range strings.Lines(inner.text) {
			if atStart && strings.TrimSpace(line) != "" {
				b.WriteString(pad)
			}
			b.WriteString(line)
			atStart = true
		}
		edits[i] = edit{e.offset(inner.start), e.offset(inner.end), b.String()}
	}
	return edits
}

// offset converts an offset of the block's text; the start of a line is that of the file's line.
func (e *embeddedTOML) offset(inner int) int {
	line := e.lineOf(inner)
	start := e.outer.start(e.first + line - 1)
	if column := inner - e.start(line); column > 0 {
		return start + e.indent + column
	}
	return start
}

func (e *embeddedTOML) remove(pointers []string) ([]edit, error) {
	edits, err := e.tomlDocument.remove(pointers)
	return e.toOuter(edits), err
}

func (e *embeddedTOML) set(settings []setting) ([]edit, error) {
	edits, err := e.tomlDocument.set(settings)
	return e.toOuter(edits), err
}

func (e *embeddedTOML) lineAt(pointer string) int {
	return e.first + e.tomlDocument.lineAt(pointer) - 1
}
