// Package textdiff shows what changed between two texts as a unified diff.
package textdiff

import (
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// Unified returns the unified diff from before to after with three lines of context, empty if they are equal.
func Unified(beforeName, before, afterName, after string) (string, error) {
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: strings.SplitAfter(before, "\n"), B: strings.SplitAfter(after, "\n"),
		FromFile: beforeName, ToFile: afterName, Context: 3,
	})
}

// Colour marks the lines of a unified diff for a terminal, as git does.
func Colour(diff string) string {
	var b strings.Builder
	for line := range strings.Lines(diff) {
		code := ""
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			code = "1"
		case strings.HasPrefix(line, "+"):
			code = "32"
		case strings.HasPrefix(line, "-"):
			code = "31"
		case strings.HasPrefix(line, "@@"):
			code = "36"
		}
		if code == "" {
			b.WriteString(line)
			continue
		}
		b.WriteString("\x1b[" + code + "m" + strings.TrimSuffix(line, "\n") + "\x1b[0m\n")
	}
	return b.String()
}
