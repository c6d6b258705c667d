package patch

import (
	"encoding/json"
	"fmt"

	"gomodules.xyz/jsonpatch/v2"
	evanphx "gopkg.in/evanphx/json-patch.v4"
)

// Marshal encodes operations as an RFC 6902 document. Values that are json.RawMessage are copied as they are, which is
// what a Session yields; encoding/json would check and compact each of them once more.
func Marshal(ops []jsonpatch.Operation) ([]byte, error) { return Append(nil, ops) }

// Append appends what Marshal returns.
func Append(dst []byte, ops []jsonpatch.Operation) ([]byte, error) {
	dst = append(dst, '[')
	for i, op := range ops {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"op":`...)
		dst = AppendString(dst, op.Operation)
		dst = append(dst, `,"path":`...)
		dst = AppendString(dst, op.Path)
		dst = append(dst, `,"value":`...)
		raw, ok := op.Value.(json.RawMessage)
		if !ok {
			var err error
			if raw, err = json.Marshal(op.Value); err != nil {
				return nil, fmt.Errorf("encoding the value of %s: %w", op.Path, err)
			}
		}
		dst = append(dst, raw...)
		dst = append(dst, '}')
	}
	return append(dst, ']'), nil
}

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
func Apply(document []byte, ops []jsonpatch.Operation) ([]byte, error) {
	encoded, err := Marshal(ops)
	if err != nil {
		return nil, err
	}
	decoded, err := evanphx.DecodePatch(encoded)
	if err != nil {
		return nil, fmt.Errorf("reading the patch: %w", err)
	}
	patched, err := decoded.Apply(document)
	if err != nil {
		return nil, fmt.Errorf("applying the patch: %w", err)
	}
	return patched, nil
}
