package reasondoc

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/golden"
)

func TestThePageIsNotStale(t *testing.T) {
	golden.Require(t, filepath.Join("../..", "docs/troubleshooting.md"), Page())
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
