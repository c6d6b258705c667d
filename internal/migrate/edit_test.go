package migrate

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// samples returns the files of the cases that can be read.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../test/data/migrate/*/*")
	require.NoError(t, err)
	all := map[string][]byte{}
	for _, file := range files {
		base := filepath.Base(file)
		if strings.HasPrefix(base, "expected.") || base == "args.txt" || strings.Contains(file, "/bad-") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all[strings.TrimPrefix(file, "../../test/data/migrate/")] = text
	}
	require.NotEmpty(t, all)
	for name, text := range awkward {
		all[name] = []byte(text)
		all[name+", CRLF"] = []byte(strings.ReplaceAll(text, "\n", "\r\n"))
		all[name+", without an end"] = []byte(strings.TrimRight(text, "\n"))
	}
	return all
}

// awkward are ways to write YAML that people do use.
var awkward = map[string]string{
	"scalars": `a: |
  one

  # not a comment
  two
b: >-
    folded
    text

c: "quoted
  over lines"   # comment
d: 'it''s, [not] {flow}'
e: plain
  over lines
f:
g: ~
h: !!str 1
# the end
`,
	"lists": `list:
- a
-   b: 1
    c: 2

  # about the next
- - x
  - y
-
  late: 1
  more: 2
- {in: flow, of: [1, "}", 'it''s']}
other:
    - deep:
        deeper:
        - 1
        # trailing, deeper
    # trailing
last: [
  a,   # isn't, [odd
  b,
  {c: d}
]
`,
	"flow": `{"a": {"b": [1, 2, {"c": "d,e]"}], "f": "g\"h"}, "i": [], "j": {}}
`,
	"anchors": `base: &base {a: 1, b: 2}
use:
  <<: *base
  c: 3
list: [*base, &own x, *own]
free: {d: 4, e: 5}
`,
	"documents": `# head
---
a: 1
b: {c: 2}
... 
---
last: {d: 1}
`,
}

// everyEntry returns the pointers of all entries of a tree, the outer before the inner.
func everyEntry(v any, at string) []string {
	var all []string
	switch v := v.(type) {
	case map[string]any:
		for _, name := range sortedNames(v) {
			all = append(append(all, at+pointer(name)), everyEntry(v[name], at+pointer(name))...)
		}
	case []any:
		for i, element := range v {
			all = append(append(all, at+pointer(strconv.Itoa(i))), everyEntry(element, at+pointer(strconv.Itoa(i)))...)
		}
	}
	return all
}

// prune is the model of an edit: the entries go, and whatever that leaves empty goes too.
func prune(tree any, pointers []string) (kept any, empty bool) {
	gone := map[string]bool{}
	for _, p := range pointers {
		gone[p] = true
	}
	var walk func(v any, at string) (any, bool)
	walk = func(v any, at string) (any, bool) {
		if gone[at] {
			return nil, true
		}
		switch v := v.(type) {
		case map[string]any:
			kept := map[string]any{}
			for name, member := range v {
				if m, empty := walk(member, at+pointer(name)); !empty {
					kept[name] = m
				}
			}
			return kept, len(kept) == 0 && len(v) > 0
		case []any:
			kept := []any{}
			for i, element := range v {
				if m, empty := walk(element, at+pointer(strconv.Itoa(i))); !empty {
					kept = append(kept, m)
				}
			}
			return kept, len(kept) == 0 && len(v) > 0
		}
		return v, false
	}
	return walk(tree, "")
}

// TestEditsRemoveExactlyWhatTheyAreAskedTo compares the text after an edit with the model, for each entry of each sample, and for
// random sets of entries.
func TestEditsRemoveExactlyWhatTheyAreAskedTo(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	edited, refused := 0, 0
	for name, text := range samples(t) {
		if filepath.Ext(name) == ".toml" {
			continue // its tables may stay when they are empty
		}
		documents, err := parseYAML(text)
		require.NoError(t, err, name)
		for n, d := range documents {
			all := everyEntry(d.content, "")
			for round := range len(all) + 200 {
				var pointers []string
				if round < len(all) {
					pointers = all[round : round+1]
				} else {
					for range 1 + random.IntN(6) {
						pointers = append(pointers, all[random.IntN(len(all))])
					}
				}
				did := requireRemoved(t, fmt.Sprintf("%s, document %d, without %s", name, n, pointers), text, documents, n, pointers)
				if did {
					edited++
				} else {
					refused++
				}
			}
		}
	}
	require.Less(t, refused*8, edited, "most edits are made")
}

// TestSettingsChangeNothingElse sets a label in each mapping of each sample.
func TestSettingsChangeNothingElse(t *testing.T) {
	for name, text := range samples(t) {
		if filepath.Ext(name) == ".toml" {
			continue
		}
		documents, err := parseYAML(text)
		require.NoError(t, err, name)
		for n, d := range documents {
			for _, at := range everyEntry(d.content, "") {
				if _, ok := get(d.content, names(at)...).(map[string]any); !ok {
					continue
				}
				edits, err := d.set([]setting{{at + "/x/labels", "dagger.io/inject", "true"}, {at + "/x/annotations", "dagger.io/containers", "a,b"}})
				if err != nil {
					continue
				}
				after := applyEdits(text, edits)
				again, err := parseYAML(after)
				require.NoError(t, err, "%s at %s:\n%s", name, at, after)
				want := clone(d.content)
				put(want, append(names(at), "x"), map[string]any{
					"labels": map[string]any{"dagger.io/inject": "true"}, "annotations": map[string]any{"dagger.io/containers": "a,b"}})
				require.Equal(t, want, again[n].content, "%s at %s:\n%s", name, at, after)
			}
		}
	}
}

func requireRemoved(t *testing.T, name string, text []byte, documents []*yamlDocument, n int, pointers []string) (edited bool) {
	t.Helper()
	edits, err := documents[n].remove(pointers)
	if err != nil {
		return false // it refuses, which the caller reports
	}
	want, empty := prune(documents[n].content, pointers)
	after := applyEdits(text, edits)
	again, err := parseYAML(after)
	require.NoError(t, err, "%s:\n%s", name, after)
	if empty {
		if len(again) == len(documents) {
			require.Empty(t, again[n].content, name) // brackets are left
		}
		return true
	}
	require.Len(t, again, len(documents), name)
	require.Equal(t, want, again[n].content, "%s:\n%s", name, after)
	return true
}

func TestEditsOfTOMLRemoveExactlyWhatTheyAreAskedTo(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	edited := 0
	for name, text := range samples(t) {
		if filepath.Ext(name) != ".toml" {
			continue
		}
		d, err := parseTOML(text)
		require.NoError(t, err, name)
		all := everyEntry(d.content, "")
		for round := range len(all) + 500 {
			var pointers []string
			if round < len(all) {
				pointers = all[round : round+1]
			} else {
				for range 1 + random.IntN(6) {
					pointers = append(pointers, all[random.IntN(len(all))])
				}
			}
			edits, err := d.remove(pointers)
			if err != nil {
				continue
			}
			edited++
			want, _ := prune(d.content, pointers)
			after := applyEdits(text, edits)
			again, err := parseTOML(after)
			require.NoError(t, err, "%s, without %s:\n%s", name, pointers, after)
			require.Equal(t, withoutEmpty(want), withoutEmpty(map[string]any(again.content)), "%s, without %s:\n%s", name, pointers, after)
		}
	}
	require.Greater(t, edited, 500)
}
