package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// failed runs a check as a test of its own would, and reports whether it failed.
func failed(t *testing.T, check func(testing.TB)) bool {
	t.Helper()
	probe := &probe{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(probe) {
				panic(r)
			}
		}()
		check(probe)
	}()
	return probe.failed
}

type probe struct {
	testing.TB
	failed bool
}

func (p *probe) Errorf(string, ...any) { p.failed = true }
func (p *probe) FailNow()              { panic(p) }

func TestRequire(t *testing.T) {
	file := filepath.Join(t.TempDir(), "expected.txt")
	stale := func(text string) bool { return failed(t, func(t testing.TB) { Require(t, file, text) }) }
	require.False(t, stale(""), "no file is expected")
	require.True(t, stale("new"), "there is no file")

	*update = true
	t.Cleanup(func() { *update = false })
	require.False(t, stale("new"))
	*update = false
	require.False(t, stale("new"), "it was written")
	require.True(t, stale("other"))
	require.True(t, stale(""), "a file is there")

	*update = true
	require.False(t, stale(""))
	require.NoFileExists(t, file)
	require.NoError(t, os.Mkdir(file, 0o755))
	require.True(t, stale("new"), "it cannot be written")
}
