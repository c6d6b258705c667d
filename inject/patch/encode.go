package patch

import (
	"encoding/json"
	"fmt"

	evanphx "gopkg.in/evanphx/json-patch.v4"
)

// Marshal encodes operations as an RFC 6902 document. Their values are copied as they are; encoding/json would check and compact
// each of them once more.
func Marshal(ops []Operation) []byte { return Append(nil, ops) }

// Append appends what Marshal returns.
func Append(dst []byte, ops []Operation) []byte {
	dst = append(dst, '[')
	for i, op := range ops {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = op.append(dst)
	}
	return append(dst, ']')
}

func (o Operation) append(dst []byte) []byte {
	dst = AppendString(append(dst, `{"op":"add","path":`...), o.Path)
	dst = append(append(dst, `,"value":`...), o.Value...)
	return append(dst, '}')
}

// MarshalJSON returns the operation as RFC 6902 has it.
func (o Operation) MarshalJSON() ([]byte, error) { return o.append(nil), nil }

// String returns s as a JSON string.
func String(s string) json.RawMessage {
	return AppendString(make(json.RawMessage, 0, len(s)+len(s)/8+2), s)
}

// AppendString appends s to dst as a JSON string.
func AppendString(dst []byte, s string) []byte {
	start := len(dst)
	dst = append(dst, '"')
	copied := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '"' || c == '\\' {
			dst = append(append(dst, s[copied:i]...), '\\')
			copied = i
		} else if c < 0x20 || c >= 0x7f {
			// Marshalling a string cannot fail.
			quoted, _ := json.Marshal(s)
			return append(dst[:start], quoted...)
		}
	}
	dst = append(dst, s[copied:]...)
	return append(dst, '"')
}

// Apply applies operations to a document with the library that the API server applies admission patches with
// (k8s.io/apiserver, pkg/admission/plugin/webhook/mutating/dispatcher.go). Any operation that does not fit the document is
// an error.
func Apply(document []byte, ops []Operation) ([]byte, error) {
	decoded, err := evanphx.DecodePatch(Marshal(ops))
	if err != nil {
		return nil, fmt.Errorf("reading the patch: %w", err)
	}
	patched, err := decoded.Apply(document)
	if err != nil {
		return nil, fmt.Errorf("applying the patch: %w", err)
	}
	return patched, nil
}
