package migrate

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// embeddedTOML is a config.toml in a block of YAML, as the values of GitLab Runner's chart have it. Its lines are those of the
// block, without the indentation.
type embeddedTOML struct {
	*tomlDocument
	inset
}

// embedded returns the runners' configurations in a document's blocks.
func (d *yamlDocument) embedded() []*embeddedTOML {
	var all []*embeddedTOML
	var visit func(node *yaml.Node)
	visit = func(node *yaml.Node) {
		if node.Kind == yaml.ScalarNode && node.Style == yaml.LiteralStyle && strings.Contains(node.Value, "[[runners]]") {
			if inner, err := parseTOML([]byte(node.Value)); err == nil {
				if in, found := d.inset(node); found {
					all = append(all, &embeddedTOML{inner, in})
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

// outside returns whether an offset of the file lies outside the block.
func (e *embeddedTOML) outside(offset int) bool {
	line := e.outer.lineOf(offset)
	return line < e.first || line >= e.first+len(e.starts)
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
	return e.line(e.tomlDocument.lineAt(pointer))
}
