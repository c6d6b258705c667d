package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// decoder fills Go values from YAML nodes by their json tags. It gathers every mismatch instead of stopping at the first.
type decoder struct {
	errs          Errors
	fields        map[string]field // those that the document has
	ignoreUnknown bool
	ignored       Errors
}

func (d *decoder) fail(path string, node *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, FieldError{Path: path, Line: node.Line, Problem: fmt.Sprintf(format, args...)})
}

func (d *decoder) decodeDocument(node *yaml.Node, policy *InjectionPolicy) {
	if node.Kind != yaml.MappingNode {
		d.fail("", node, "want a mapping with apiVersion and kind, got %s", describe(node))
		return
	}
	d.decode("", node, reflect.ValueOf(policy).Elem())
}

func (d *decoder) decode(path string, node *yaml.Node, target reflect.Value) {
	if path != "" {
		d.fields[path] = field{line: node.Line, leaf: target.Kind() != reflect.Struct || isKubernetes(target.Type())}
	}
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		d.fail(path, node, "YAML anchors and aliases are not accepted: write the value out")
		return
	}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		// A section with nothing below it sets nothing; a field with no value is set to nothing.
		if target.Kind() != reflect.Struct || isKubernetes(target.Type()) {
			target.SetZero()
		}
		return
	}
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	if u, ok := target.Addr().Interface().(json.Unmarshaler); ok {
		d.decodeScalarType(path, node, u)
		return
	}
	switch target.Kind() {
	case reflect.Struct:
		if isKubernetes(target.Type()) {
			target.SetZero() // a value of its own, which replaces the one before it
		}
		d.decodeStruct(path, node, target)
	case reflect.Map:
		d.decodeMap(path, node, target)
	case reflect.Slice:
		d.decodeSlice(path, node, target)
	case reflect.String:
		if node.Kind != yaml.ScalarNode || node.Tag != "!!str" {
			d.fail(path, node, "want a string, got %s%s", describe(node), quoteHint(node))
			return
		}
		target.SetString(node.Value)
	case reflect.Bool:
		if node.Kind != yaml.ScalarNode || node.Tag != "!!bool" {
			d.fail(path, node, "want true or false, got %s", describe(node))
			return
		}
		target.SetBool(strings.EqualFold(node.Value, "true"))
	case reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(node.Value, 0, target.Type().Bits())
		if node.Kind != yaml.ScalarNode || node.Tag != "!!int" || err != nil {
			d.fail(path, node, "want an integer of %d bits, got %s", target.Type().Bits(), describe(node))
			return
		}
		target.SetInt(i)
	default:
		d.fail(path, node, "this program cannot read a %s here", target.Type())
	}
}

// isKubernetes reports whether a type is Kubernetes' own. A document sets such a value as a whole; it is not a section of the
// policy.
func isKubernetes(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() != reflect.TypeFor[InjectionPolicy]().PkgPath()
}

// decodeScalarType reads a type with a text form of its own, such as a quantity or a duration.
func (d *decoder) decodeScalarType(path string, node *yaml.Node, target json.Unmarshaler) {
	if node.Kind != yaml.ScalarNode {
		d.fail(path, node, "want a single value, got %s", describe(node))
		return
	}
	if quantity, ok := target.(*resource.Quantity); ok {
		var err error
		if *quantity, err = ParseQuantity(node.Value); err != nil {
			d.fail(path, node, "%.100q is not accepted: %v", node.Value, err)
		}
		return
	}
	quoted, _ := json.Marshal(node.Value)
	if err := target.UnmarshalJSON(quoted); err != nil {
		d.fail(path, node, "%.100q is not accepted: %v", node.Value, err)
	}
}

func (d *decoder) decodeSlice(path string, node *yaml.Node, target reflect.Value) {
	if node.Kind != yaml.SequenceNode {
		d.fail(path, node, "want a list, got %s", describe(node))
		return
	}
	list := reflect.MakeSlice(target.Type(), len(node.Content), len(node.Content))
	for i, item := range node.Content {
		d.decode(fmt.Sprintf("%s[%d]", path, i), item, list.Index(i))
	}
	target.Set(list)
}

func (d *decoder) decodeMap(path string, node *yaml.Node, target reflect.Value) {
	m := reflect.MakeMap(target.Type())
	d.members(path, node, func(key, value *yaml.Node, at string) {
		item := reflect.New(target.Type().Elem()).Elem()
		d.decode(at, value, item)
		m.SetMapIndex(reflect.ValueOf(key.Value).Convert(target.Type().Key()), item)
	})
	target.Set(m)
}

func (d *decoder) decodeStruct(path string, node *yaml.Node, target reflect.Value) {
	fields := fieldsOf(target.Type())
	d.members(path, node, func(key, value *yaml.Node, at string) {
		field, known := fields[key.Value]
		if !known && d.ignoreUnknown {
			d.ignored = append(d.ignored, FieldError{Path: at, Line: key.Line, Problem: "unknown field, ignored"})
			return
		}
		if !known {
			d.fail(at, key, "unknown field%s", suggestion(key.Value, fields))
			return
		}
		d.decode(at, value, target.FieldByIndex(field))
	})
}

// members visits a mapping's members and refuses repeated and non-string keys.
func (d *decoder) members(path string, node *yaml.Node, visit func(key, value *yaml.Node, at string)) {
	if node.Kind != yaml.MappingNode {
		d.fail(path, node, "want a mapping, got %s", describe(node))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			d.fail(path, key, "want a string as the key, got %s", describe(key))
			continue
		}
		at := joinPath(path, key.Value)
		if seen[key.Value] {
			d.fail(at, key, "appears twice")
			continue
		}
		seen[key.Value] = true
		visit(key, value, at)
	}
}

// fieldsByType has what fieldsOf returned, by type.
var fieldsByType sync.Map

// fieldsOf returns the fields of a struct, by json name, as reflect's indexes.
func fieldsOf(t reflect.Type) map[string][]int {
	if fields, ok := fieldsByType.Load(t); ok {
		return fields.(map[string][]int)
	}
	fields := map[string][]int{}
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && field.Anonymous {
			for embedded, index := range fieldsOf(field.Type) {
				fields[embedded] = append([]int{i}, index...)
			}
		} else if name != "" && name != "-" {
			fields[name] = []int{i}
		}
	}
	fieldsByType.Store(t, fields)
	return fields
}

func joinPath(path, name string) string {
	if strings.ContainsAny(name, "./[]") {
		return fmt.Sprintf("%s[%q]", path, name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch node.Tag {
	case "!!null":
		return "nothing"
	case "!!str":
		return fmt.Sprintf("%.60q", node.Value)
	}
	return fmt.Sprintf("%.60s (%s)", node.Value, strings.TrimPrefix(node.Tag, "!!"))
}

func quoteHint(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode {
		return fmt.Sprintf(": quote it, as in %.60q", node.Value)
	}
	return ""
}

// suggestion names the known field that an unknown one is closest to.
func suggestion(name string, fields map[string][]int) string {
	known := make([]string, 0, len(fields))
	for field := range fields {
		known = append(known, field)
	}
	sort.Strings(known)
	best, distance := "", 3
	for _, field := range known {
		if d := editDistance(strings.ToLower(name), strings.ToLower(field)); d < distance {
			best, distance = field, d
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %s?", best)
	}
	return ": known here are " + strings.Join(known, ", ")
}

// editDistance is the number of characters to insert, delete or replace to get from a to b. It gives up on long names, for
// which a suggestion does not help.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
