package policydoc

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/internal/prose"
)

const intro = `<!-- Generated from the types of package config by internal/policydoc: see make golden. -->
# Policy reference

A policy is a YAML document under the key ` + "`policy.yaml`" + ` of a ConfigMap named ` + "`%s`" + `, which holds %d KiB at most.
The ConfigMap in the release namespace is the cluster's policy; one in any other namespace refines it there.
A key ` + "`NAME.yaml`" + ` holds a profile, which a pod chooses with the annotation ` + "`dagger.io/policy: NAME`" + `.
The [policy guide](policy-guide.md) explains how the layers combine.

Every document has ` + "`apiVersion`" + ` and ` + "`kind`" + `; you may leave out everything else.
[policy.schema.json](policy.schema.json) is the same as a JSON Schema, for editors.

*Set by* says who may set a field unless the cluster's policy sets ` + "`overrides`" + `:

* *cluster only*: the cluster's policy, which cannot let others set the field.
* *cluster*: the cluster's policy, which can let namespaces set the field with ` + "`overrides.fromNamespaces`" + `.
* *namespaces*: also a namespace's policy.
* *pods*: also a pod, by an annotation.
* *pods if let*: also a pod, if ` + "`overrides.fromPods`" + ` permits it.

Fields of Kubernetes' types have Kubernetes' own descriptions; the type column has what a policy accepts.
`

func renderMarkdown(root *field) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, intro, config.ConfigMapName, config.MaxSize>>10)
	section(&b, root)
	return b.Bytes()
}

// section writes a table for a struct of package config and one for each below it, or one for a field of a Kubernetes type
// with everything in it.
func section(b *bytes.Buffer, f *field) {
	title := f.path
	if title == "" {
		title = config.Kind
	}
	fmt.Fprintf(b, "\n## %s\n", title)
	fmt.Fprintf(b, "\n%s\n", prose.Lines(f.description()))
	if !f.own {
		b.WriteString("\n| field | type | description |\n|---|---|---|\n")
		inner := f
		for inner.kind == kindList {
			inner = inner.item
		}
		rows(b, strings.TrimPrefix(inner.path, f.path), inner)
		return
	}
	b.WriteString("\n| field | type | default | set by | description |\n|---|---|---|---|---|\n")
	for _, child := range f.fields {
		if child.kind == kindStruct && child.own {
			fmt.Fprintf(b, "| `%s` | %s | | | %s |\n", child.path, child.linkText(), child.description())
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n",
			child.path, child.linkText(), child.defaultText(), child.setByText(), child.description())
	}
	for _, child := range f.fields {
		if child.hasSection() {
			section(b, child)
		}
	}
}

// rows writes everything in a field of a Kubernetes type, by its path below the section's.
func rows(b *bytes.Buffer, prefix string, f *field) {
	for _, child := range f.fields {
		at := strings.TrimPrefix(prefix+"."+child.name, ".")
		description := child.description()
		if child.fallback != nil {
			description += " Default: " + child.defaultText() + "."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", at, child.typeText(), description)
		inner := child
		for inner.kind == kindList {
			inner, at = inner.item, at+"[]"
		}
		rows(b, at, inner)
	}
}

// hasSection reports whether there is more to say of a field than fits a row.
func (f *field) hasSection() bool {
	for f.kind == kindList {
		f = f.item
	}
	return f.kind == kindStruct
}

// linkText is the type of a field that has a section.
func (f *field) linkText() string {
	text := f.typeText()
	if !f.hasSection() {
		return text
	}
	kind, more, _ := strings.Cut(text, ",")
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf("[%s](#%s)%s", kind, strings.ToLower(strings.ReplaceAll(f.path, ".", "")), more)
}

func (f *field) typeText() string {
	text := f.kind
	switch {
	case f.kind == kindList:
		text = "list of " + plural(f.item)
	case f.kind == kindBoolean:
		text = "`true` or `false`"
	case len(f.values) > 0:
		text = code(f.values)
	}
	switch {
	case f.least != nil:
		text += fmt.Sprintf(", %d to %d", *f.least, *f.most)
	case f.most != nil:
		text += fmt.Sprintf(", at most %d", *f.most)
	}
	if f.required {
		text += ", required"
	}
	return text
}

func plural(f *field) string {
	switch {
	case len(f.values) > 0 && len(f.values) < 10:
		return code(f.values)
	case len(f.values) > 0:
		return "field paths"
	}
	return f.kind + "s"
}

func (f *field) defaultText() string {
	if list, ok := f.fallback.([]string); ok {
		return code(list)
	}
	if f.fallback == nil {
		return ""
	}
	return "`" + strings.Trim(inline(f.fallback), `"`) + "`"
}

func (f *field) setByText() string {
	s := f.setBy
	switch {
	case f.required:
		return "every document"
	case s.clusterOnly:
		return "cluster only"
	case s.namespaces && s.pods:
		return "namespaces, pods"
	case s.namespaces && s.podsIfLet:
		return "namespaces, pods if let"
	case s.namespaces:
		return "namespaces"
	}
	return "cluster"
}

func (f *field) description() string {
	doc := escape(f.doc)
	if rest, ok := strings.CutPrefix(doc, f.name+" "); ok && f.name != "" {
		doc = "`" + f.name + "` " + rest
	}
	if remark := f.remark(); remark != "" {
		doc = strings.TrimSpace(doc + " **" + escape(remark) + "**")
	}
	return doc
}

func code(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "`" + word + "`"
	}
	return strings.Join(quoted, ", ")
}

// escape keeps text from being taken for a table's border or for HTML.
func escape(text string) string {
	parts := strings.Split(strings.ReplaceAll(text, "|", `\|`), "`")
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.NewReplacer("<", `\<`, "*", `\*`).Replace(parts[i])
	}
	return strings.Join(parts, "`")
}
