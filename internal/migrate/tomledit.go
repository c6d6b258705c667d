package migrate

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// remove returns the edits that take entries out: whole tables, values, elements of arrays, and entries of YAML in texts.
func (d *tomlDocument) remove(pointers []string) ([]edit, error) {
	r := tomlRemoval{document: d, sections: map[*tomlSection]bool{}, values: map[*tomlValue]bool{}, elements: map[*tomlValue]map[int]bool{},
		nested: map[string][]string{}}
	for _, p := range pointers {
		if !r.mark(p) {
			return nil, fmt.Errorf("line %d: it stands in a table in braces, or in another way that is not edited: remove it by hand", d.lineAt(p))
		}
	}
	edits, err := r.fromNested()
	if err != nil {
		return nil, err
	}
	r.dropEmpty()
	return append(edits, r.edits()...), nil
}

// tomlRemoval is what goes.
type tomlRemoval struct {
	document *tomlDocument
	sections map[*tomlSection]bool
	values   map[*tomlValue]bool
	elements map[*tomlValue]map[int]bool
	nested   map[string][]string // pointers in YAML, by the pointer of the text
	touched  []string            // pointers of what went
}

// mark notes that an entry goes, and reports whether it can.
func (r *tomlRemoval) mark(p string) bool {
	for at := range r.document.nested {
		if rest, inside := cutPointer(p, at); inside && rest != "" {
			r.nested[at] = append(r.nested[at], rest)
			return true
		}
	}
	marked := false
	for _, s := range r.document.sections {
		if _, below := cutPointer(s.pointer, p); below && s.pointer != "" {
			r.sections[s], marked = true, true
			continue
		}
		for _, v := range s.values {
			if _, below := cutPointer(v.pointer, p); below {
				r.values[v], marked = true, true
			}
			if i, ok := elementOf(p, v); ok {
				if r.elements[v] == nil {
					r.elements[v] = map[int]bool{}
				}
				r.elements[v][i], marked = true, true
			}
		}
	}
	r.touched = append(r.touched, p)
	return marked
}

// fromNested edits YAML in texts. A table whose text is then empty goes as a whole.
func (r *tomlRemoval) fromNested() ([]edit, error) {
	var edits []edit
	for at, pointers := range r.nested {
		n := r.document.nested[at]
		inner, empty, err := n.removeInside(pointers)
		if err != nil {
			return nil, err
		}
		if empty {
			r.mark(at[:strings.LastIndexByte(at, '/')])
			continue
		}
		edits = append(edits, inner...)
	}
	return edits, nil
}

// needed matches tables that a runner has even if nothing is in them.
var needed = regexp.MustCompile(`^(/runners/\d+(/kubernetes)?)?$`)

// dropEmpty removes arrays of which no element is left, and tables of which nothing is.
func (r *tomlRemoval) dropEmpty() {
	for v, gone := range r.elements {
		if len(gone) == len(v.elements) {
			r.values[v] = true
			delete(r.elements, v)
		}
	}
	for changed := true; changed; {
		changed = false
		for _, s := range r.document.sections {
			if r.sections[s] || needed.MatchString(s.pointer) || !r.emptied(s) {
				continue
			}
			r.sections[s], changed = true, true
		}
	}
}

// emptied reports whether a table lost something, and has nothing left.
func (r *tomlRemoval) emptied(s *tomlSection) bool {
	lost := slices.ContainsFunc(r.touched, func(p string) bool { _, below := cutPointer(p, s.pointer); return below })
	if !lost || slices.ContainsFunc(s.values, func(v *tomlValue) bool { return !r.values[v] }) {
		return false
	}
	return !slices.ContainsFunc(r.document.sections, func(other *tomlSection) bool {
		rest, below := cutPointer(other.pointer, s.pointer)
		return below && rest != "" && !r.sections[other]
	})
}

func (r *tomlRemoval) edits() []edit {
	d := r.document
	var edits []edit
	for _, s := range d.sections {
		if r.sections[s] {
			edits = append(edits, edit{start: s.start, end: s.end})
			continue
		}
		for i, v := range s.values {
			switch {
			case r.values[v]:
				line := d.lineOf(v.start)
				start := d.commentAbove(line)
				if others := slices.ContainsFunc(s.values, func(v *tomlValue) bool { return !r.values[v] }); i == 0 && others &&
					!aboutDagger.Match(d.text[d.start(start):d.start(line)]) {
					start = line
				}
				edits = append(edits, edit{start: d.start(start), end: d.start(d.lineOf(v.end) + 1)})
			case r.elements[v] != nil:
				edits = append(edits, d.removeElements(v, r.elements[v])...)
			}
		}
	}
	return edits
}

// removeElements removes elements of an array: their lines, where they have some of their own.
func (d *tomlDocument) removeElements(v *tomlValue, gone map[int]bool) []edit {
	var edits []edit
	for i := 0; i < len(v.elements); i++ {
		if !gone[i] {
			continue
		}
		if start, end, own := d.ownLine(v.elements[i]); own {
			edits = append(edits, edit{start: start, end: end})
			continue
		}
		if i+1 < len(v.elements) {
			edits = append(edits, edit{start: v.elements[i].start, end: v.elements[i+1].start})
			continue
		}
		// The last ones go with the comma before them.
		first := i
		for first > 0 && gone[first-1] {
			first--
		}
		start := v.elements[i].start
		if first > 0 {
			start = v.elements[first-1].end
		}
		edits = append(edits, edit{start: start, end: v.elements[i].end})
	}
	return edits
}

// ownLine returns the lines of an element that stands on lines of its own, with a comment behind it.
func (d *tomlDocument) ownLine(e span) (start, end int, own bool) {
	line := d.lineOf(e.start)
	start, end = d.start(line), d.start(d.lineOf(e.end)+1)
	behind := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(d.text[e.end:end]), []byte(",")))
	return start, end, len(bytes.TrimSpace(d.text[start:e.start])) == 0 && (len(behind) == 0 || behind[0] == '#')
}
