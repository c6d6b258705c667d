package migrate

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// remove returns the edits that take entries out of the document, with the comments that belong to them, and with the keys whose
// values they leave empty.
func (d *yamlDocument) remove(pointers []string) ([]edit, error) {
	edits, pointers, err := d.removeNested(pointers)
	if err != nil {
		return nil, err
	}
	gone := map[*yaml.Node]map[int]bool{} // by collection, the indices of entries in Content
	for _, p := range pointers {
		collection, index, err := d.locate(p)
		if err != nil {
			return nil, err
		}
		d.markGone(gone, collection, index)
	}
	for collection, indices := range gone {
		if d.isInside(gone, collection) {
			continue // it goes with its parent
		}
		more, err := d.removeFrom(collection, indices)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	return edits, nil
}

// removeNested returns the edits that take entries out of the YAML in texts, and the pointers that are left: with those of the texts
// that are empty then.
func (d *yamlDocument) removeNested(pointers []string) ([]edit, []string, error) {
	var own []string
	inside := map[string][]string{} // by the pointer of the text
	for _, p := range pointers {
		if _, at, rest := d.nestedAt(p); at != "" {
			inside[at] = append(inside[at], rest)
		} else {
			own = append(own, p)
		}
	}
	var edits []edit
	for _, at := range sortedNames(inside) {
		if _, _, err := d.locate(at); err != nil {
			return nil, nil, err
		}
		n, _, _ := d.nestedAt(at + inside[at][0])
		made, empty, err := n.removeInside(inside[at])
		if err != nil {
			return nil, nil, err
		}
		if edits = append(edits, made...); empty {
			own = append(own, at)
		}
	}
	return edits, own, nil
}

// entries returns the indices in Content at which the entries of a collection start.
func entries(collection *yaml.Node) []int {
	var all []int
	for i := 0; i < len(collection.Content); i += step(collection) {
		all = append(all, i)
	}
	return all
}

// step is how many nodes an entry of a collection has.
func step(collection *yaml.Node) int {
	if collection.Kind == yaml.MappingNode {
		return 2
	}
	return 1
}

// markGone notes that an entry goes, and the entry that has the collection if nothing is left of it.
func (d *yamlDocument) markGone(gone map[*yaml.Node]map[int]bool, collection *yaml.Node, index int) {
	if gone[collection] == nil {
		gone[collection] = map[int]bool{}
	}
	gone[collection][index] = true
	parent := d.parents[collection]
	// An operation of a JSON patch goes with its value.
	operation := parent == d.root && parent.Kind == yaml.SequenceNode && collection.Kind == yaml.MappingNode &&
		collection.Content[index].Value == "value"
	if len(gone[collection]) < len(entries(collection)) && !operation || parent == nil {
		return
	}
	at := slices.Index(parent.Content, collection)
	if parent.Kind == yaml.MappingNode {
		at--
	}
	d.markGone(gone, parent, at)
}

// isInside reports whether the collection lies in an entry that goes.
func (d *yamlDocument) isInside(gone map[*yaml.Node]map[int]bool, collection *yaml.Node) bool {
	for at, parent := collection, d.parents[collection]; parent != nil; at, parent = parent, d.parents[parent] {
		i := slices.Index(parent.Content, at)
		if parent.Kind == yaml.MappingNode {
			i--
		}
		if gone[parent][i] {
			return true
		}
	}
	return false
}

func (d *yamlDocument) removeFrom(collection *yaml.Node, indices map[int]bool) ([]edit, error) {
	if collection.Style&yaml.FlowStyle != 0 {
		return d.removeFlow(collection, indices)
	}
	var edits []edit
	for _, i := range entries(collection) {
		if !indices[i] {
			continue
		}
		block, err := d.block(collection, i)
		if err != nil {
			return nil, err
		}
		if !block.ownLines {
			// It stands behind the dash of a list's item: what follows takes its place.
			next := i
			for indices[next] {
				next += step(collection)
			}
			edits = append(edits, edit{start: d.nodeOffset(collection.Content[i]), end: d.nodeOffset(collection.Content[next])})
			continue
		}
		start := d.withComment(block, i == 0 && len(indices) < len(entries(collection)))
		edits = append(edits, edit{start: start, end: d.withBlank(start, block.end)})
	}
	return edits, nil
}

// block is the text of one entry of a block collection.
type block struct {
	start, end int
	line       int
	indent     int
	ownLines   bool // nothing else stands on its lines
}

func (d *yamlDocument) nodeOffset(node *yaml.Node) int { return d.offset(node.Line, node.Column) }

// block returns where the entry at an index of a block collection is.
func (d *yamlDocument) block(collection *yaml.Node, i int) (block, error) {
	node := collection.Content[i]
	at := d.nodeOffset(node)
	if collection.Kind == yaml.SequenceNode {
		at = len(bytes.TrimRight(d.text[:at], " \t\r\n")) - 1
		if at < 0 || d.text[at] != '-' {
			return block{}, fmt.Errorf("line %d: its dash is not where it is looked for", node.Line)
		}
	}
	b := block{start: at, line: d.lineOf(at)}
	lineStart := d.start(b.line)
	b.indent = at - lineStart
	b.ownLines = len(bytes.TrimSpace(d.text[lineStart:at])) == 0
	if b.ownLines {
		b.start = lineStart
	}
	compact := collection.Kind == yaml.MappingNode && collection.Content[i+1].Kind == yaml.SequenceNode &&
		collection.Content[i+1].Style&yaml.FlowStyle == 0
	// What is in brackets or quotes may be indented less.
	last := b.line
	for _, part := range collection.Content[i : i+step(collection)] {
		last = max(last, d.lastLine(part))
	}
	for n := last + 1; n <= len(d.starts); n++ {
		line := d.line(n)
		indent, blank, comment := indentOf(line)
		switch {
		case blank, comment && indent <= b.indent:
			continue // unless more of the entry follows, it is not the entry's
		case indent > b.indent, compact && indent == b.indent && startsItem(line[indent:]):
			last = n
			continue
		}
		break
	}
	b.end = d.start(last + 1)
	return b, nil
}

// lastLine returns the last line of what is in brackets or quotes in a node, 0 if nothing is.
func (d *yamlDocument) lastLine(node *yaml.Node) int {
	last := 0
	switch {
	case node.Kind == yaml.AliasNode:
	case node.Kind != yaml.ScalarNode && node.Style&yaml.FlowStyle != 0, node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		if end := d.closing(d.nodeOffset(node)); end > 0 {
			last = d.lineOf(end - 1)
		}
	default:
		for _, c := range node.Content {
			last = max(last, d.lastLine(c))
		}
	}
	return last
}

func startsItem(line []byte) bool {
	return len(line) > 0 && line[0] == '-' && (len(line) == 1 || line[1] == ' ' || line[1] == '\t')
}

// aboutDagger matches comments that belong to the wiring wherever they stand.
var aboutDagger = regexp.MustCompile(`(?i)dagger|engine|buildkit`)

// withComment returns where an entry starts with the comment right above it. The comment above the first of several entries may
// be about all of them, and then goes only if it is about Dagger.
func (d *yamlDocument) withComment(b block, first bool) int {
	start := b.line
	for n := b.line - 1; n >= 1; n-- {
		indent, _, comment := indentOf(d.line(n))
		if !comment || indent != b.indent {
			break
		}
		start = n
	}
	if first && !aboutDagger.Match(d.text[d.start(start):b.start]) {
		return b.start
	}
	return d.start(start)
}

// withBlank returns the end of a range with a blank line after it, if one stands before it too.
func (d *yamlDocument) withBlank(start, end int) int {
	before, after := d.lineOf(start)-1, d.lineOf(end)
	if before < 1 || end >= len(d.text) {
		return end
	}
	_, blankBefore, _ := indentOf(d.line(before))
	_, blankAfter, _ := indentOf(d.line(after))
	if blankBefore && blankAfter {
		return d.start(after + 1)
	}
	return end
}
