// Package policydoc generates the policy's JSON Schema and its reference from package config: names and types from the Go
// types, descriptions from their doc comments, and accepted values by trying them. It lists nothing that package config can be
// asked, so that schema and reference cannot contradict the program.
package policydoc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
)

// Generate returns the JSON Schema and the Markdown reference of a policy. The folder is package config's source.
func Generate(dir string) (schema, reference []byte, err error) {
	root, err := build(dir)
	if err != nil {
		return nil, nil, err
	}
	if schema, err = renderSchema(root); err != nil {
		return nil, nil, err
	}
	return schema, renderMarkdown(root), nil
}

// The kinds of a field.
const (
	kindStruct   = "mapping" // with fields that are known
	kindMap      = "mapping of strings"
	kindList     = "list"
	kindString   = "string"
	kindInteger  = "integer"
	kindBoolean  = "boolean"
	kindQuantity = "quantity"
	kindDuration = "duration"
)

// field is a place in a policy: a field of a mapping, an item of a list, or a value of a mapping whose keys are free.
type field struct {
	path   string // as in scheduling.tolerations[].key
	name   string // empty for an item or a value
	doc    string
	kind   string
	own    bool     // of a type of package config, not of Kubernetes
	fields []*field // of a kindStruct
	item   *field   // of a kindList or a kindMap

	required    bool
	nullable    bool     // a section or a list with nothing after the colon is accepted
	emptyable   bool     // "" is accepted
	values      []string // the strings that it can have; empty for any
	refused     []string // those, or booleans, that are not supported yet
	unsupported bool     // no value is supported yet
	inherited   bool     // nor of the field that holds it
	instead     string   // what to use instead
	least, most *int     // of an integer, or of the number of items
	pattern     string
	fallback    any // the default, nil for none
	setBy       setBy
}

type builder struct {
	source   *source
	defaults config.Overrides
	podPaths []string
}

// build makes the tree of a policy's fields.
func build(dir string) (*field, error) {
	s, err := readSource(dir)
	if err != nil {
		return nil, err
	}
	policy, err := config.Parse([]byte("apiVersion: " + config.APIVersion + "\nkind: " + config.Kind))
	if err != nil {
		return nil, fmt.Errorf("a policy that sets nothing is refused: %w", err)
	}
	b := &builder{source: s, defaults: policy.Overrides, podPaths: accepted("overrides.fromPods[]", "?")}
	root := &field{doc: s.rewrite(s.types["InjectionPolicy"], "InjectionPolicy", "A policy")}
	b.fill(root, reflect.ValueOf(*policy), false)
	b.nameOverrides(root)
	walk(root, func(f *field) {
		for _, child := range append(f.fields, f.item) {
			if child != nil {
				child.inherited = f.unsupported
			}
		}
	})
	return root, nil
}

// fill describes a field by its value in a policy that sets nothing. Whole is true if a document replaces the field together
// with what holds it, so that what it leaves out is empty and has no default.
func (b *builder) fill(f *field, value reflect.Value, whole bool) {
	t := value.Type()
	if t.Kind() == reflect.Pointer {
		t, whole = t.Elem(), true
		value = reflect.Zero(t)
	}
	f.own = strings.HasSuffix(t.PkgPath(), "/config")
	switch {
	case t == reflect.TypeFor[resource.Quantity]():
		f.kind = kindQuantity
	case t == reflect.TypeFor[config.Timeout]():
		f.kind = kindDuration
	case t == reflect.TypeFor[corev1.ResourceList]():
		f.kind = kindStruct
		for _, name := range accepted(f.path, map[string]any{"x": 1}) {
			child := &field{path: f.path + "." + name, name: name}
			b.fill(child, reflect.Zero(t.Elem()), true)
			f.fields = append(f.fields, child)
		}
	case t.Kind() == reflect.Struct:
		f.kind = kindStruct
		b.members(f, value, whole)
	case t.Kind() == reflect.Map:
		f.kind, f.item = kindMap, &field{path: f.path + ".*"}
		b.fill(f.item, reflect.Zero(t.Elem()), true)
	case t.Kind() == reflect.Slice:
		f.kind, f.item = kindList, &field{path: f.path + "[]"}
		b.fill(f.item, reflect.Zero(t.Elem()), true)
	case t.Kind() == reflect.String:
		f.kind = kindString
	case t.Kind() == reflect.Bool:
		f.kind = kindBoolean
	default:
		f.kind = kindInteger
	}
	if f.path == "" {
		return
	}
	b.ask(f, t)
	f.required = f.required || whole && f.name != "" && f.kind == kindString && !f.emptyable
	holder := f.kind == kindStruct && t.Kind() == reflect.Struct // its fields have the defaults
	if !whole && !f.required && !holder && (!value.IsZero() || f.kind == kindBoolean) {
		f.fallback = value.Interface()
	}
	f.setBy = b.lowest(f.path)
}

// members adds the fields of a struct. What a type of Kubernetes has and a policy never accepts is left out.
func (b *builder) members(f *field, value reflect.Value, whole bool) {
	t := value.Type()
	for i := range t.NumField() {
		member := t.Field(i)
		name, options, _ := strings.Cut(member.Tag.Get("json"), ",")
		if name == "" && member.Anonymous {
			b.members(f, value.Field(i), whole)
			continue
		}
		child := &field{path: strings.TrimPrefix(f.path+"."+name, "."), name: name, required: !strings.Contains(options, "omitempty")}
		if neverAccepted[child.path] {
			continue
		}
		child.doc = b.source.rewrite(b.doc(t, member, name), member.Name, name)
		b.fill(child, value.Field(i), whole)
		f.fields = append(f.fields, child)
	}
}

// neverAccepted are the fields of Kubernetes' types that package config refuses whatever their value.
var neverAccepted = map[string]bool{
	"cli.resources.claims":             true,
	"wait.resources.claims":            true,
	"env[].valueFrom.fileKeyRef":       true,
	"env[].valueFrom.resourceFieldRef": true,
}

// doc returns a field's doc. If the doc of the field's type begins with the same words and goes on, it replaces the field's.
func (b *builder) doc(t reflect.Type, member reflect.StructField, name string) string {
	if swagger, ok := reflect.Zero(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
		return swagger.SwaggerDoc()[name]
	}
	doc := b.source.fields[t.Name()][member.Name]
	if ofType := b.source.types[member.Type.Name()]; strings.HasPrefix(ofType, doc) {
		doc = ofType
	}
	if note := b.source.notes[member.Type.Name()]; note != "" {
		doc += " " + note
	}
	return doc
}

// ask fills in what package config accepts at a field.
func (b *builder) ask(f *field, t reflect.Type) {
	if f.kind == kindString {
		f.values = b.values(f, t)
		f.emptyable = len(try(f.path, "")) == 0
	}
	candidates := f.candidates()
	for _, value := range candidates {
		if instead, refused := notSupported(f.path, value); refused {
			f.instead = instead
			f.refused = append(f.refused, fmt.Sprint(value))
		}
	}
	if len(f.refused) == len(candidates) {
		f.unsupported, f.refused = true, nil
	}
	if f.kind == kindStruct || f.kind == kindMap || f.kind == kindList {
		f.nullable = len(try(f.path, nil)) == 0
	}
	switch f.kind {
	case kindInteger:
		if f.least, f.most = limits(f.path, -1); f.least != nil && len(try(f.path, 0)) == 0 {
			f.least = new(int) // a range from 1 whose 0 stands for nothing
		}
	case kindList:
		f.least, f.most = limits(f.path, make([]any, 1000))
	case kindMap:
		f.least, f.most = limits(f.path, many(1000))
	}
	f.pattern = patterns(b.source)[f.path]
}

// candidates are the values that a field can have, or one example of its kind if there is no end of them.
func (f *field) candidates() []any {
	if len(f.values) > 0 {
		all := make([]any, len(f.values))
		for i, value := range f.values {
			all[i] = value
		}
		return all
	}
	return map[string][]any{
		kindStruct: {map[string]any{}}, kindMap: {map[string]any{}}, kindList: {[]any{}}, kindString: {"a"},
		kindInteger: {1}, kindBoolean: {true, false}, kindQuantity: {"1"}, kindDuration: {"1s"},
	}[f.kind]
}

// values returns the strings that a field takes: the constants of its type, else those that package config names when it
// refuses another.
func (b *builder) values(f *field, t reflect.Type) []string {
	if constants := b.source.constants[t.Name()]; f.own && len(constants) > 0 {
		return slices.Clone(constants)
	}
	if t == reflect.TypeFor[metav1.LabelSelectorOperator]() {
		// Its refusal, by Kubernetes' own code, names none.
		return []string{string(metav1.LabelSelectorOpIn), string(metav1.LabelSelectorOpNotIn),
			string(metav1.LabelSelectorOpExists), string(metav1.LabelSelectorOpDoesNotExist)}
	}
	return accepted(f.path, "?")
}

func many(n int) map[string]any {
	m := map[string]any{}
	for i := range n {
		m[fmt.Sprint("x", i)] = "x"
	}
	return m
}

// inline writes a default as a document has it in one line.
func inline(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
