// Package fields declares which fields of GitLab Runner's log have new names: none.
package fields

// Field says how a field with an old name is called.
type Field struct{ Standard string }

// Deprecated has fields by their old names.
var Deprecated = map[string]Field{}

// VariantVersion has the version of the log's schema that brought a name.
var VariantVersion = map[string]int{}
