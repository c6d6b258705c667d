package fleet

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/dagger-inject/dagger-inject/internal/explain"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// Text writes the report as a table, with what differs below each row.
func (r *Report) Text(w io.Writer) error {
	lines := [][4]string{{"NAMESPACE", "WORKLOAD", "PODS", "STATE"}}
	for _, row := range r.Rows {
		pods := "-"
		if row.Pods > 0 {
			pods = fmt.Sprint(row.Pods)
		}
		lines = append(lines, [4]string{terminal.Escape(row.Namespace), terminal.Escape(row.Workload), pods, string(row.State)})
	}
	var widths [4]int
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	write := func(line [4]string, now string) {
		for i, cell := range line {
			_, _ = fmt.Fprintf(&b, "%-*s  ", widths[i], cell)
		}
		b.WriteString(now + "\n")
	}
	write(lines[0], "NOW")
	changed := 0
	for i, row := range r.Rows {
		now, _, _ := strings.Cut(row.Now, " See http")
		write(lines[i+1], terminal.Escape(now))
		if row.State == Same || row.State == Without {
			continue
		}
		changed++
		if row.State == Lost || row.State == Gained {
			then, _, _ := strings.Cut(row.Then, " See http")
			_ = terminal.Line(&b, "    before: %s", then)
		}
		for _, d := range row.Differs {
			_ = terminal.Line(&b, "    %s: %s, now %s", d.Member, explain.Plain(d.Then), explain.Plain(d.Now))
		}
	}
	_ = terminal.Line(&b, "%d of %d differ.", changed, len(r.Rows))
	for _, what := range r.Unreadable {
		_ = terminal.Line(&b, "cannot be read: %s", what)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
