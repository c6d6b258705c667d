// Package golden compares output with files, and writes those files when a test is run with -update (`make golden`).
package golden

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Require compares a text with a file, or writes the file. An empty text stands for no file.
func Require(t testing.TB, file, text string) {
	t.Helper()
	if *update {
		write(t, file, text)
	}
	want, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	require.Equal(t, string(want), text, "%s is stale: see `make golden`", file)
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if text != "" {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		return
	}
	if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
}
