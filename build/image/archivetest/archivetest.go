// Package archivetest reads, in tests, the archives that package oci writes.
package archivetest

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Unpack extracts an archive into a folder that lives as long as the test, and returns the folder: an OCI image layout.
func Unpack(t testing.TB, file string) string {
	t.Helper()
	dir := t.TempDir()
	content, err := os.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, content.Close()) }()
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if err == io.EOF {
			return dir
		}
		require.NoError(t, err)
		target := filepath.Join(dir, header.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o755))
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(target, text, 0o644))
	}
}
