package terminal

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"build":                     "build",
		"größe 構築 🚀 'a' \"b\" \\n":  "größe 構築 🚀 'a' \"b\" \\n",
		"a\nok    pods":             `a\nok    pods`,
		"\x1b[31mred":               `\x1b[31mred`,
		"\u009b31mred":              `\u009b31mred`,
		"\x9b31m":                   `\x9b31m`,
		"a\tb\rc\x00\x7f\b":         `a\tb\rc\x00\x7f\b`,
		"\u202egnp.exe\u2066\u200b": `\u202egnp.exe\u2066\u200b`,
		"a\u2028b\u0085c\u00a0d":    `a\u2028b\u0085c\u00a0d`,
		"\ufeff\U000e0041":          `\ufeff\U000e0041`,
		"\ufffd\xff":                "\ufffd" + `\xff`,
		"it's\x01":                  `it's\x01`,
	} {
		require.Equal(t, want, Escape(text))
		require.Equal(t, want, Escape(want), "it leaves what it returned")
	}
	require.Equal(t, "+a:\t\\x1b\n-b\\r\n\nc", EscapeLines("+a:\t\x1b\n-b\r\n\nc"))
	var b strings.Builder
	require.NoError(t, Line(&b, "container %s: %d", "a\nb", 1))
	require.Equal(t, `container a\nb: 1`+"\n", b.String())
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x1b[2J\n\u202e\xff")
	f.Add("\\x1b'")
	f.Fuzz(func(t *testing.T, text string) {
		escaped := Escape(text)
		requireHarmless(t, escaped, "")
		require.Equal(t, escaped, Escape(escaped))
		requireHarmless(t, EscapeLines(text), "\n\t")
		require.Equal(t, strings.Count(text, "\n"), strings.Count(EscapeLines(text), "\n"))
		if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) < 0 {
			require.Equal(t, text, escaped, "what prints stays")
		}
	})
}

// requireHarmless looks for what a terminal would act upon, but for the characters that are allowed.
func requireHarmless(t *testing.T, text, allowed string) {
	t.Helper()
	require.True(t, utf8.ValidString(text))
	for _, r := range text {
		bad := unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		require.False(t, bad && !strings.ContainsRune(allowed, r), "%q in %q", r, text)
	}
}
