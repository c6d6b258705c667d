package truncate

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		most int
		want string
	}{
		"short":                     {"engine", 6, "engine"},
		"one byte too long":         {"engines", 6, "eng..."},
		"between two characters":    {"äöü", 5, "ä..."},
		"not half a character":      {"äöü", 4, "..."},
		"no room for the ellipsis":  {"engine", 2, ""},
		"nothing is asked for":      {"engine", 0, ""},
		"nothing is there":          {"", 0, ""},
		"invalid bytes at the cut":  {"ab\xff\xff\xff\xff", 5, "ab..."},
		"invalid bytes are not cut": {"\xff", 5, "\xff"},
	} {
		require.Equal(t, c.want, Text(c.text, c.most), name)
	}
}

func FuzzTextIsBounded(f *testing.F) {
	f.Add("äöü", 4)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = max(most, 0)
		cut := Text(text, most)
		require.LessOrEqual(t, len(cut), max(most, 0))
		require.True(t, utf8.ValidString(cut) || cut == text)
	})
}
