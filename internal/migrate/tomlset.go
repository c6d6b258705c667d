package migrate

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// set returns the edits that set members of tables, and make the tables that are missing.
func (d *tomlDocument) set(settings []setting) ([]edit, error) {
	var edits []edit
	var order []string
	byTable := map[string][]setting{}
	for _, s := range settings {
		if byTable[s.mapping] == nil {
			order = append(order, s.mapping)
		}
		byTable[s.mapping] = append(byTable[s.mapping], s)
	}
	for _, table := range order {
		e, err := d.setIn(table, byTable[table])
		if err != nil {
			return nil, err
		}
		edits = append(edits, e)
	}
	return edits, nil
}

func (d *tomlDocument) setIn(table string, settings []setting) (edit, error) {
	last := -1 // the last section of the table's parent
	parent := table[:strings.LastIndexByte(table, '/')]
	for i, s := range d.sections {
		if s.pointer == table {
			return d.addTo(s, settings), nil
		}
		if _, below := cutPointer(s.pointer, parent); below {
			last = i
		}
		for _, v := range s.values {
			if _, below := cutPointer(v.pointer, table); below {
				return d.addInline(v, table, settings)
			}
		}
	}
	if last < 0 {
		return edit{}, fmt.Errorf("%s: not there", parent)
	}
	var b strings.Builder
	indent := d.indentAt(d.sectionAt(parent, last).header)
	b.WriteString(indent + "[" + tableName(table) + "]" + d.newline())
	for _, s := range settings {
		b.WriteString(indent + "  " + quoted(s.key) + " = " + quoted(s.value) + d.newline())
	}
	return d.insertAfter(d.sections[last], b.String()), nil
}

// sectionAt returns the section of a table, else the one at an index.
func (d *tomlDocument) sectionAt(table string, otherwise int) *tomlSection {
	for _, s := range d.sections {
		if s.pointer == table {
			return s
		}
	}
	return d.sections[otherwise]
}

// insertAfter inserts lines behind what a section has, before the blank lines that follow.
func (d *tomlDocument) insertAfter(s *tomlSection, text string) edit {
	at := len(bytes.TrimRight(d.text[:s.end], " \t\r\n"))
	if line := d.lineOf(at) + 1; line <= len(d.starts) {
		return edit{d.start(line), d.start(line), text}
	}
	return edit{len(d.text), len(d.text), d.newline() + text}
}

// addTo adds members to a table that has a header.
func (d *tomlDocument) addTo(s *tomlSection, settings []setting) edit {
	indent := d.indentAt(s.header) + "  "
	if n := len(s.values); n > 0 {
		indent = d.indentAt(d.start(d.lineOf(s.values[n-1].start)))
	}
	var b strings.Builder
	for _, one := range settings {
		b.WriteString(indent + quoted(one.key) + " = " + quoted(one.value) + d.newline())
	}
	return d.insertAfter(s, b.String())
}

// addInline adds members to a table in braces.
func (d *tomlDocument) addInline(v *tomlValue, table string, settings []setting) (edit, error) {
	if !v.inline || v.pointer != table {
		return edit{}, fmt.Errorf("line %d: %s is written with dotted keys: write it as a table", d.lineOf(v.start), tableName(table))
	}
	var all []string
	for _, s := range settings {
		all = append(all, quoted(s.key)+" = "+quoted(s.value))
	}
	end := bytes.LastIndexByte(d.text[:v.end], '}')
	inner := len(bytes.TrimRight(d.text[:end], " \t\r\n"))
	text := strings.Join(all, ", ")
	if d.text[inner-1] != '{' {
		text = ", " + text
	}
	return edit{inner, inner, text}, nil
}

// indentAt returns the space that a line starts with.
func (d *tomlDocument) indentAt(start int) string {
	line := d.text[start:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// tableName writes a pointer as the name of a table, in which arrays of tables have no index.
func tableName(pointer string) string {
	var all []string
	for i, name := range names(pointer) {
		if i == 1 {
			continue // of the runner
		}
		if !bareKey.MatchString(name) {
			name = quoted(name)
		}
		all = append(all, name)
	}
	return strings.Join(all, ".")
}
