package figures

import (
	"io"
	"strings"
	"text/tabwriter"
)

// Table is a table of Markdown.
type Table struct {
	head []string
	rows [][]string
}

func (t *Table) add(cells ...string) { t.rows = append(t.rows, cells) }

// Markdown returns the table as it stands in a document, without an end of line after it.
func (t *Table) Markdown() string { return strings.TrimSuffix(t.lines(" "), "\n") }

// Text writes the table with its columns aligned, for a terminal.
func (t *Table) Text(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 1, ' ', 0)
	if _, err := io.WriteString(w, t.lines("\t")); err != nil {
		return err
	}
	return w.Flush()
}

// inCell keeps a cell in its place, whatever is in it.
var inCell = strings.NewReplacer("|", `\|`, "\n", " ", "\t", " ")

// lines returns the table with a text after each cell.
func (t *Table) lines(after string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, cell := range cells {
			b.WriteString("| " + inCell.Replace(cell) + after)
		}
		b.WriteString("|\n")
	}
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, row := range t.rows {
		line(row)
	}
	return b.String()
}
