package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	frameHeader = 5
	// maxMessage bounds an answer, since any server may listen at the address. A real answer has about 100 bytes.
	maxMessage = 64 << 10
	maxString  = 1 << 10
)

// Info is what an engine says about itself.
type Info struct {
	// Package is the Go package that the server was built from: nothing else distinguishes an engine from another buildkitd.
	Package string
	Version string
	// Revision is the name of the engine's pod in a cluster.
	Revision string
}

// parseAnswer reads the body of a unary gRPC response: one frame with an InfoResponse.
func parseAnswer(body []byte) (Info, error) {
	if len(body) < frameHeader {
		return Info{}, fmt.Errorf("a gRPC frame has at least %d bytes, got %d", frameHeader, len(body))
	}
	if body[0] != 0 {
		return Info{}, errors.New("the answer is compressed, which nobody asked for")
	}
	message := body[frameHeader:]
	if length := binary.BigEndian.Uint32(body[1:]); int64(length) != int64(len(message)) {
		return Info{}, fmt.Errorf("the gRPC frame announces %d bytes, and %d follow", length, len(message))
	}
	return parseInfoResponse(message)
}

// parseInfoResponse decodes moby.buildkit.v1.InfoResponse by hand: three strings do not justify a dependency on buildkit's
// generated code.
func parseInfoResponse(message []byte) (Info, error) {
	var info Info
	err := eachBytesField(message, func(number protowire.Number, value []byte) error {
		if number != 1 {
			return nil
		}
		return eachBytesField(value, func(number protowire.Number, value []byte) error {
			var field *string
			switch number {
			case 1:
				field = &info.Package
			case 2:
				field = &info.Version
			case 3:
				field = &info.Revision
			default:
				return nil
			}
			if len(value) > maxString || !utf8.Valid(value) {
				return fmt.Errorf("field %d is not a text of at most %d bytes", number, maxString)
			}
			*field = string(value)
			return nil
		})
	})
	return info, err
}

// eachBytesField calls visit with every length-delimited field. The others are skipped, as a newer server may add some.
func eachBytesField(message []byte, visit func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("not a protobuf message: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return fmt.Errorf("not a protobuf message: %w", protowire.ParseError(n))
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return fmt.Errorf("not a protobuf message: %w", protowire.ParseError(n))
		}
		if err := visit(number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
