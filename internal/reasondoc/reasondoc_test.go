package reasondoc

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject"
)

var update = flag.Bool("update", false, "rewrite docs/troubleshooting.md")

func TestThePageIsNotStale(t *testing.T) {
	file := filepath.Join("../..", "docs/troubleshooting.md")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(Page()), 0o644))
	}
	have, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, Page(), string(have), "docs/troubleshooting.md is stale: see `make golden`")
}

func TestEveryReasonHasACauseAndAPlace(t *testing.T) {
	require.Len(t, causes, len(inject.Reasons()))
	for _, r := range inject.Reasons() {
		require.True(t, strings.HasSuffix(causes[r], "."), "%s: %q", r, causes[r])
		_, anchor, _ := strings.Cut(r.URL(), "docs/troubleshooting.md#")
		require.Contains(t, Page(), "\n### "+anchor+"\n", "the link of a message leads to its heading")
		require.Contains(t, Page(), "](#"+anchor+")", "the table leads there")
	}
}
