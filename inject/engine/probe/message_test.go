package probe

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// realAnswer is a frame in the order of fields that buildkit's generated code writes.
var realAnswer = []byte("\x00\x00\x00\x00\x40" +
	"\x0a\x3a\x0a\x18github.com/dagger/dagger\x12\x07v0.21.8\x1a\x15dagger-engine-0123456" + "\x12\x02\x08\x08")

func TestParseAnswer(t *testing.T) {
	info, err := parseAnswer(realAnswer)
	require.NoError(t, err)
	require.Equal(t, Info{Package: "github.com/dagger/dagger", Version: "v0.21.8", Revision: "dagger-engine-0123456"}, info)

	field := func(number protowire.Number, value string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	// Fields of newer servers are skipped, whatever their type, and a repeated message is merged, as protobuf says.
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 90, protowire.VarintType), 1<<40)
	unknown = protowire.AppendFixed64(protowire.AppendTag(unknown, 91, protowire.Fixed64Type), 7)
	message := append(unknown, field(1, string(field(1, "a"))+string(unknown))...)
	message = append(message, field(1, string(field(2, "b")))...)
	info, err = parseInfoResponse(message)
	require.NoError(t, err)
	require.Equal(t, Info{Package: "a", Version: "b"}, info)

	for _, bad := range [][]byte{
		field(1, string(field(2, strings.Repeat("x", maxString+1)))),
		field(1, string(field(2, "\xff"))),
		field(1, "\x0a\x7f"),
		{0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f},
		{0x08},
		{0x00},
	} {
		_, err := parseInfoResponse(bad)
		require.Error(t, err, "%x", bad)
	}
}

func TestOneLine(t *testing.T) {
	require.Equal(t, "a b", oneLine("a\nb..\n"))
	require.Equal(t, "x [31m", oneLine("x\x1b[31m"))
	long := oneLine(strings.Repeat("é", 1000))
	require.LessOrEqual(t, len(long), maxDetail+3)
	require.True(t, utf8.ValidString(long))
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(realAnswer)
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0x0a})
	f.Add([]byte("\x00\x00\x00\x00\x06\x0a\x04\x12\x02\xff\xfe"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := parseAnswer(body)
		for _, text := range []string{info.Package, info.Version, info.Revision} {
			require.LessOrEqual(t, len(text), min(len(body), maxString))
			require.True(t, utf8.ValidString(text))
		}
		if err != nil {
			require.NotContains(t, oneLine(err.Error()), "\n")
			return
		}
		_, _ = Compatible(info.Version, "v0.21.8")
	})
}
