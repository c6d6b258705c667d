package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/dagger-inject/dagger-inject/internal/prose"
)

// page is one Markdown file of the repository, parsed.
type page struct {
	path   string // in the repository
	source []byte
	root   ast.Node
}

// pages returns every Markdown file that people read. The head of troubleshooting.md is read as part of that page. The folder site
// has pages that are written for its generator, and the packages that it needs.
func pages(t *testing.T) []*page {
	t.Helper()
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM))
	var found []*page
	require.NoError(t, filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || relative == "internal" || relative == "site") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			source := readRepository(t, relative)
			found = append(found, &page{relative, source, markdown.Parser().Parse(text.NewReader(source))})
		}
		return nil
	}))
	require.NotEmpty(t, found)
	return found
}

// each calls visit for every node of one type.
func each[N ast.Node](p *page, visit func(N)) {
	_ = ast.Walk(p.root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if node, ok := n.(N); ok && entering {
			visit(node)
		}
		return ast.WalkContinue, nil
	})
}

// lines returns the source of a block.
func (p *page) lines(n ast.Node) string {
	return string(n.Lines().Value(p.source))
}

// textOf returns the text of a node without its markup.
func (p *page) textOf(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if leaf, ok := n.(*ast.Text); ok && entering {
			b.Write(leaf.Segment.Value(p.source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// anchors returns the fragments that lead to a page's headings, as GitHub makes them.
func (p *page) anchors() map[string]bool {
	found := map[string]bool{}
	each(p, func(heading *ast.Heading) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, p.textOf(heading))
		unique := slug
		for n := 1; found[unique]; n++ {
			unique = fmt.Sprintf("%s-%d", slug, n)
		}
		found[unique] = true
	})
	return found
}

// TestDocsLinkToWhatExists follows every link to a file of the repository, and to a heading in one.
func TestDocsLinkToWhatExists(t *testing.T) {
	all := pages(t)
	byPath := map[string]*page{}
	for _, p := range all {
		byPath[p.path] = p
	}
	for _, p := range all {
		each(p, func(link *ast.Link) {
			destination := string(link.Destination)
			if strings.Contains(destination, ":") {
				return // elsewhere
			}
			file, anchor, _ := strings.Cut(destination, "#")
			target := filepath.Join(filepath.Dir(p.path), file)
			if file == "" {
				target = p.path
			}
			_, err := os.Stat(filepath.Join(repository, target))
			require.NoError(t, err, "%s links to %s", p.path, destination)
			if anchor != "" {
				require.Contains(t, byPath, target, "%s links to a heading of %s", p.path, destination)
				require.Contains(t, byPath[target].anchors(), anchor, "%s links to %s, which has no such heading", p.path, destination)
			}
		})
	}
}

// ownPath matches what is written as a path of the repository.
var ownPath = regexp.MustCompile(`(?:^|[\s@(=])((?:\.ci|\.github|build|charts|cmd|config|docs|inject|internal|test|webhook)/[\w./-]*)`)

// TestDocsNameFilesThatExist looks up every path of the repository in code.
func TestDocsNameFilesThatExist(t *testing.T) {
	for _, p := range pages(t) {
		p.eachCode(func(code string, _ bool) {
			for _, match := range ownPath.FindAllStringSubmatch(code, -1) {
				named, _, _ := strings.Cut(match[1], "NAME") // stands for any
				_, err := os.Stat(filepath.Join(repository, strings.TrimRight(named, ".")))
				require.NoError(t, err, "%s names %s", p.path, match[1])
			}
		})
	}
}

// eachCode calls visit for each block of code, and for each span in a line of text.
func (p *page) eachCode(visit func(code string, span bool)) {
	each(p, func(block *ast.FencedCodeBlock) { visit(p.lines(block), false) })
	each(p, func(block *ast.CodeBlock) { visit(p.lines(block), false) })
	each(p, func(span *ast.CodeSpan) { visit(p.textOf(span), true) })
}

var lineEnd = regexp.MustCompile(`[.:;,?!][*)]*$`)

// TestDocsHaveOneSentenceALine keeps changes of prose readable: a line that changed is a sentence that changed.
func TestDocsHaveOneSentenceALine(t *testing.T) {
	for _, p := range pages(t) {
		check := func(block ast.Node) {
			lines := strings.Split(strings.TrimRight(p.lines(block), "\n"), "\n")
			for i, line := range lines {
				require.Equal(t, prose.Lines(line), line, "%s: put each sentence on a line of its own", p.path)
				if i < len(lines)-1 {
					require.Regexp(t, lineEnd, strings.TrimSpace(line), "%s: put each sentence on one line", p.path)
				}
			}
		}
		each(p, func(block *ast.Paragraph) { check(block) })
		each(p, func(block *ast.TextBlock) { check(block) })
	}
}
