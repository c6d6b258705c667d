// Package value declares the values of job inputs: there are none but null.
package value

import (
	"errors"
	"iter"
)

// Kind is the kind of a value.
type Kind string

// The kinds of values.
const (
	NullKind   Kind = "null"
	StringKind Kind = "string"
	NumberKind Kind = "number"
	BoolKind   Kind = "bool"
	ArrayKind  Kind = "array"
	ObjectKind Kind = "object"
)

// What looking up an attribute may fail with.
var (
	ErrAttributeNotFound = errors.New("attribute not found")
	ErrInvalidKey        = errors.New("invalid key")
)

// Value is null.
type Value struct{}

// Null returns null.
func Null() Value { return Value{} }

// String returns null.
func String(string) Value { return Value{} }

// Object returns null.
func Object(Mapper) Value { return Value{} }

// Kind returns that of null.
func (Value) Kind() Kind { return NullKind }

// String returns null's text.
func (Value) String() string { return string(NullKind) }

// WithMarks returns the value.
func (v Value) WithMarks(uint16) Value { return v }

// HasMarks returns false.
func (Value) HasMarks(uint16) bool { return false }

// Mapper is an object.
type Mapper interface {
	All() iter.Seq2[Value, Value]
	Attr(string) (Value, error)
	Get(Value) (Value, error)
	Keys() iter.Seq[Value]
	Len() int
	Values() iter.Seq[Value]
	WithMarks(uint16) Mapper
}
