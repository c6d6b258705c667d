// Package chartdoc derives the chart's values.schema.json and the table of values in its README from values.yaml, from the
// schema of a policy, and from Kubernetes' own types.
package chartdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Value is one value that the chart documents.
type Value struct {
	// Path is the value's path, as in image.tag.
	Path string
	// Doc is the comment that stands before it in values.yaml.
	Doc string
	// Default is its default.
	Default any
}

// Values returns the values of a values.yaml in its order. If the fields of a mapping are values of their own, the mapping is
// not one. Every value must have a comment that begins with two dashes.
func Values(text []byte) ([]Value, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("want one mapping")
	}
	return appendValues(nil, "", document.Content[0])
}

func appendValues(values []Value, prefix string, mapping *yaml.Node) ([]Value, error) {
	for i := 0; i < len(mapping.Content); i += 2 {
		key, node := mapping.Content[i], mapping.Content[i+1]
		path := prefix + key.Value
		var err error
		if _, whole := rules[path]; node.Kind == yaml.MappingNode && !whole {
			if values, err = appendValues(values, path+".", node); err != nil {
				return nil, err
			}
			continue
		}
		value := Value{Path: path}
		_, doc, found := strings.Cut(key.HeadComment, "# -- ")
		if !found {
			return nil, fmt.Errorf("line %d: %s has no comment that begins with \"# -- \"", key.Line, path)
		}
		value.Doc = strings.ReplaceAll(doc, "\n# ", " ")
		if err := node.Decode(&value.Default); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// Table returns the values as a table in Markdown.
func Table(values []Value) string {
	var b strings.Builder
	b.WriteString("| value | default | meaning |\n|---|---|---|")
	for _, v := range values {
		fmt.Fprintf(&b, "\n| `%s` | `%s` | %s |", v.Path, bytes.TrimSpace(marshal(v.Default, "")), v.Doc)
	}
	return b.String()
}

// marshal writes JSON for people, without escaping HTML.
func marshal(value any, indent string) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		panic(err) // the value has JSON types only
	}
	return b.Bytes()
}
