package chartdoc

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// schema is a JSON Schema of draft 7, which the validators of Helm 3 and 4 both know.
type schema = map[string]any

// Schema returns the JSON Schema of the values. No mapping in it may have a field that it does not name, unless its keys are
// free. Policy is the schema of a policy.
func Schema(values []Value, policy []byte) ([]byte, error) {
	var ofPolicy schema
	if err := json.Unmarshal(policy, &ofPolicy); err != nil {
		return nil, fmt.Errorf("the schema of a policy: %w", err)
	}
	// The chart writes apiVersion and kind itself.
	for _, keyword := range []string{"$schema", "$id", "required"} {
		delete(ofPolicy, keyword)
	}
	root := object()
	for _, value := range values {
		if err := root.add(value); err != nil {
			return nil, err
		}
	}
	s := root.schema
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	s["title"] = "Values of the chart dagger-inject"
	s["description"] = "Generated from values.yaml: see make golden."
	s["definitions"] = schema{"policy": ofPolicy}
	root.properties["global"] = schema{"description": "Values that Helm shares between charts. This one has none.", "type": "object"}
	return marshal(s, "  "), nil
}

// mapping is the schema of a mapping whose fields are added.
type mapping struct {
	schema
	properties schema
}

func object() mapping {
	properties := schema{}
	return mapping{schema{"type": "object", "additionalProperties": false, "properties": properties}, properties}
}

func (m mapping) add(value Value) error {
	names := strings.Split(value.Path, ".")
	for _, name := range names[:len(names)-1] {
		child, there := m.properties[name].(schema)
		if !there {
			child = object().schema
			m.properties[name] = child
		}
		m = mapping{child, child["properties"].(schema)}
	}
	s := maps.Clone(rules[value.Path])
	if s == nil {
		switch value.Default.(type) {
		case string:
			s = schema{"type": "string"}
		case bool:
			s = schema{"type": "boolean"}
		default:
			return fmt.Errorf("%s: what it accepts is not known from its default: add it to the rules of package chartdoc", value.Path)
		}
	}
	s["description"] = value.Doc
	m.properties[names[len(names)-1]] = s
	return nil
}

// of returns the schema of one of Kubernetes' types.
func of[T any]() schema { return ofType(reflect.TypeFor[T]()) }

func ofType(t reflect.Type) schema {
	switch t {
	case reflect.TypeFor[resource.Quantity]():
		return schema{"type": []string{"string", "number"}}
	case reflect.TypeFor[intstr.IntOrString]():
		return schema{"type": []string{"string", "integer"}}
	case reflect.TypeFor[metav1.Time]():
		return schema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return ofType(t.Elem())
	case reflect.Struct:
		m := object()
		m.members(t)
		return m.schema
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": ofType(t.Elem())}
	case reflect.Slice:
		return listOf(ofType(t.Elem()))
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	}
	return schema{"type": "integer"}
}

func (m mapping) members(t reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			m.properties[name] = ofType(field.Type)
		} else {
			m.members(field.Type)
		}
	}
}
