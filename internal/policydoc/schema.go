package policydoc

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
)

// schema is a JSON Schema, with the keywords that are needed here.
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	ID                   string             `json:"$id,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"`
	Const                any                `json:"const,omitempty"`
	Enum                 []any              `json:"enum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	MinItems             *int               `json:"minItems,omitempty"`
	MaxItems             *int               `json:"maxItems,omitempty"`
	MaxProperties        *int               `json:"maxProperties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Required             []string           `json:"required,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"`
	Not                  *struct{}          `json:"not,omitempty"`
}

func renderSchema(root *field) ([]byte, error) {
	s := schemaOf(root)
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.ID = "urn:dagger-inject:policy:" + config.APIVersion[strings.LastIndex(config.APIVersion, "/")+1:]
	s.Title = config.Kind
	s.Description += " Generated from the types of package config: see make golden."
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(s)
	return b.Bytes(), err
}

// schemaOf returns a field's schema. What refuses a field that is not supported yet stands at the outermost one only, so that
// an editor complains once.
func schemaOf(f *field) *schema {
	s := &schema{Description: f.doc, Default: f.fallback}
	if remark := f.remark(); remark != "" {
		s.Description = strings.TrimSpace(s.Description + " " + remark)
	}
	if f.unsupported && !f.inherited {
		s.Not = &struct{}{}
	}
	switch f.kind {
	case kindStruct:
		s.Type, s.AdditionalProperties, s.Properties = "object", false, map[string]*schema{}
		for _, child := range f.fields {
			s.Properties[child.name] = schemaOf(child)
			if child.required {
				s.Required = append(s.Required, child.name)
			}
		}
	case kindMap:
		s.Type, s.AdditionalProperties, s.MaxProperties = "object", schemaOf(f.item), f.most
	case kindList:
		s.Type, s.Items, s.MinItems, s.MaxItems = "array", schemaOf(f.item), f.least, f.most
	case kindInteger:
		s.Type, s.Minimum, s.Maximum = "integer", f.least, f.most
	case kindBoolean:
		s.Type = "boolean"
		for _, value := range []bool{true, false} {
			if len(f.refused) > 0 && f.refused[0] != inline(value) {
				s.Enum = []any{value}
			}
		}
	case kindQuantity:
		s.Type, s.Pattern, s.Minimum = []string{"string", "number"}, quantityPattern, new(int)
	case kindDuration:
		s.Type, s.Pattern = "string", durationPattern
	case kindString:
		s.strings(f)
	}
	if f.nullable {
		s.Type = []any{s.Type, "null"}
	}
	return s
}

func (s *schema) strings(f *field) {
	s.Type, s.Pattern = "string", f.pattern
	if f.pattern != "" && f.pattern != fileKeyPattern && f.emptyable {
		s.Pattern = "^$|" + f.pattern
	}
	if len(f.values) == 1 && !f.emptyable {
		s.Const = f.values[0]
		return
	}
	for _, value := range f.values {
		if !slices.Contains(f.refused, value) {
			s.Enum = append(s.Enum, value)
		}
	}
	if len(f.values) > 0 && f.emptyable {
		s.Enum = append(s.Enum, "")
	}
}

// remark says what part of a field is not supported yet, and what to use instead.
func (f *field) remark() string {
	switch {
	case f.inherited && f.name == "":
	case f.inherited:
		return "Not supported yet."
	case f.unsupported:
		return "Not supported yet: " + f.instead + "."
	case len(f.refused) > 0:
		return strings.Join(f.refused, " and ") + ": not supported yet; " + f.instead + "."
	}
	return ""
}

const (
	quantityPattern = `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`
	durationPattern = `^(auto|\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

	// A path has segments without a colon or a control character, and none is "." or "..".
	absolutePattern = `^(/([^./:\x00-\x1f\x7f-\x9f]|\.[^./:\x00-\x1f\x7f-\x9f]|\.\.[^/:\x00-\x1f\x7f-\x9f])[^/:\x00-\x1f\x7f-\x9f]*)+$`
	filePattern     = `^([^./]|\.[^./]|\.\.[^/])[^/]*$`
	addressPattern  = `^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f.:]+\]):0*[1-9][0-9]{0,4}$`
	// Printable ASCII without the equals sign.
	variablePattern  = `^[ -<>-~]+$`
	subdomainPattern = `^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`
	keyPattern       = `^[A-Za-z0-9._-]+$`
	// Empty where another field is too, which is more than a pattern can say.
	fileKeyPattern = `^[A-Za-z0-9._-]*$`
)

// patterns are what a schema can know of the texts that package config validates by code. They refuse nothing that the code
// accepts, except for brackets around a name in an address.
func patterns(s *source) map[string]string {
	return map[string]string{
		"engine.socket.hostPath":               absolutePattern,
		"engine.socket.mountPath":              absolutePattern,
		"engine.socket.file":                   filePattern,
		"engine.tcp.address":                   addressPattern,
		"engine.tls.address":                   addressPattern,
		"engine.tls.secretName":                subdomainPattern,
		"engine.tls.caFile":                    fileKeyPattern,
		"engine.tls.certFile":                  fileKeyPattern,
		"engine.tls.keyFile":                   fileKeyPattern,
		"cli.path":                             absolutePattern,
		"cli.image":                            s.image,
		"wait.image":                           s.image,
		"wait.imagePullSecret":                 subdomainPattern,
		"cloudToken.secretName":                subdomainPattern,
		"cloudToken.key":                       keyPattern,
		"env[].name":                           variablePattern,
		"env[].valueFrom.secretKeyRef.name":    subdomainPattern,
		"env[].valueFrom.secretKeyRef.key":     keyPattern,
		"env[].valueFrom.configMapKeyRef.name": subdomainPattern,
		"env[].valueFrom.configMapKeyRef.key":  keyPattern,
	}
}
