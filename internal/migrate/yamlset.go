package migrate

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// setting is a member that a mapping is to have.
type setting struct {
	mapping string // its pointer
	key     string
	value   string
}

// branch is a member to add, or a mapping with members to add.
type branch struct {
	name     string
	value    string
	branches []*branch
}

// grow adds a value below names.
func (b *branch) grow(names []string, value string) {
	if len(names) == 0 {
		b.value = value
		return
	}
	for _, have := range b.branches {
		if have.name == names[0] {
			have.grow(names[1:], value)
			return
		}
	}
	next := &branch{name: names[0]}
	b.branches = append(b.branches, next)
	next.grow(names[1:], value)
}

// set returns the edits that set members of mappings, and make the mappings that are missing.
func (d *yamlDocument) set(settings []setting) ([]edit, error) {
	var order []*yaml.Node
	grown := map[*yaml.Node]*branch{}
	for _, s := range settings {
		at, missing, err := d.deepest(append(names(s.mapping), s.key))
		if err != nil {
			return nil, err
		}
		if grown[at] == nil {
			grown[at] = &branch{}
			order = append(order, at)
		}
		grown[at].grow(missing, s.value)
	}
	var edits []edit
	for _, at := range order {
		made, err := d.add(at, grown[at].branches)
		if err != nil {
			return nil, err
		}
		edits = append(edits, made)
	}
	return edits, nil
}

// deepest follows names as far as there are values, and returns the last mapping, or what stands for an empty one.
func (d *yamlDocument) deepest(path []string) (*yaml.Node, []string, error) {
	at := d.root
	for len(path) > 1 {
		next, _, ok := child(at, path[0])
		if !ok {
			break
		}
		if next.Kind == yaml.AliasNode || d.aliased[next] {
			return nil, nil, &sharedError{next.Line, next.Anchor + next.Value}
		}
		at, path = next, path[1:]
		if isEmpty(at) {
			break
		}
		if at.Kind != yaml.MappingNode && at.Kind != yaml.SequenceNode {
			return nil, nil, fmt.Errorf("line %d: want a mapping", at.Line)
		}
	}
	return at, path, nil
}

// isEmpty reports whether a node is null, or a mapping without members.
func isEmpty(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Tag == "!!null" || node.Kind == yaml.MappingNode && len(node.Content) == 0
}

// add adds members to a mapping in its own style.
func (d *yamlDocument) add(mapping *yaml.Node, branches []*branch) (edit, error) {
	switch {
	case isEmpty(mapping):
		return d.fill(mapping, branches), nil
	case mapping.Kind != yaml.MappingNode:
		return edit{}, fmt.Errorf("line %d: want a mapping", mapping.Line)
	case mapping.Style&yaml.FlowStyle != 0:
		return d.addFlow(mapping, branches)
	}
	return d.addBlock(mapping, branches)
}

// inBrackets writes members in flow style, without the brackets around them.
func inBrackets(branches []*branch) string {
	var all []string
	for _, b := range branches {
		value := quoted(b.value)
		if len(b.branches) > 0 {
			value = "{" + inBrackets(b.branches) + "}"
		}
		all = append(all, quoted(b.name)+": "+value)
	}
	return strings.Join(all, ", ")
}

func quoted(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }

// fill gives an empty or null value its first members.
func (d *yamlDocument) fill(node *yaml.Node, branches []*branch) edit {
	start := d.nodeOffset(node)
	text := "{" + inBrackets(branches) + "}"
	switch {
	case node.Kind == yaml.MappingNode:
		return edit{start, start + bytes.IndexByte(d.text[start:], '}') + 1, text}
	case node.Value != "":
		return edit{start, start + len(node.Value), text}
	}
	return edit{start, start, " " + text}
}

func (d *yamlDocument) addFlow(mapping *yaml.Node, branches []*branch) (edit, error) {
	first, last := mapping.Content[0], mapping.Content[len(mapping.Content)-2]
	end, err := d.flowEnd(d.nodeOffset(last))
	separator := " "
	if first.Line > mapping.Line { // one member a line
		separator = d.newline() + string(d.line(first.Line)[:first.Column-1])
	}
	return edit{end, end, "," + separator + inBrackets(branches)}, err
}

// addBlock adds members at the end of a mapping; metadata comes first, as is the custom.
func (d *yamlDocument) addBlock(mapping *yaml.Node, branches []*branch) (edit, error) {
	var b strings.Builder
	d.writeBlock(&b, branches, mapping.Content[0].Column-1)
	first, err := d.block(mapping, 0)
	if err != nil {
		return edit{}, err
	}
	if branches[0].name == "metadata" && first.ownLines {
		start := d.withComment(first, false)
		return edit{start, start, b.String()}, nil
	}
	last, err := d.block(mapping, len(mapping.Content)-2)
	text := b.String()
	if last.end > 0 && d.text[last.end-1] != '\n' {
		text = d.newline() + strings.TrimSuffix(text, d.newline())
	}
	return edit{last.end, last.end, text}, err
}

func (d *yamlDocument) writeBlock(to *strings.Builder, branches []*branch, indent int) {
	for _, b := range branches {
		to.WriteString(strings.Repeat(" ", indent) + b.name + ":")
		if len(b.branches) == 0 {
			to.WriteString(" " + quoted(b.value))
		}
		to.WriteString(d.newline())
		d.writeBlock(to, b.branches, indent+2)
	}
}
