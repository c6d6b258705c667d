package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatMatchesWhatIsAskedFor(t *testing.T) {
	cases := map[string]struct {
		asked, version, name string
		matches, namesOne    bool
	}{
		"anything":                      {"latest", "", "e", true, false},
		"a version":                     {"v0.21.8", "v0.21.8", "e", true, true},
		"another":                       {"v0.21.8", "v0.21.9", "e", false, true},
		"build metadata of the engine":  {"v1.0.0-beta.10", "v1.0.0-beta.10+0e19eba6", "e", true, true},
		"build metadata of the asker":   {"v1.0.0-beta.10+1", "v1.0.0-beta.10+2", "e", true, true},
		"a pre-release is another":      {"v1.0.0", "v1.0.0-beta.10", "e", false, true},
		"a minor version":               {"v0.21", "v0.21.8", "e", true, false},
		"a pre-release of it":           {"v0.21", "v0.21.0-rc.1", "e", true, false},
		"not by its first digits":       {"v0.2", "v0.21.8", "e", false, false},
		"a major version":               {"v0", "v0.21.8", "e", true, false},
		"another major version":         {"v1", "v0.21.8", "e", false, false},
		"no version is known":           {"v0.21", "", "e", false, false},
		"what is no version":            {"v0.21", "v0.21.8_x", "e", false, false},
		"a name":                        {"e", "", "e", true, true},
		"another name":                  {"f", "v0.21.8", "e", false, true},
		"a name with dots":              {"engine-0.21", "v0.21.8", "engine-0.21", true, true},
		"a name that looks like one is": {"v0.21", "v0.20.8", "v0.21", false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, err := ParseWanted(c.asked)
			require.NoError(t, err)
			require.Equal(t, c.matches, w.Matches(&Identity{Version: c.version, Workload: Workload{Name: c.name}}))
			require.Equal(t, c.namesOne, w.NamesOne())
		})
	}
	for _, text := range []string{"", "v0.21 ", "V0.21", "a/b", "DaemonSet dagger/e"} {
		_, err := ParseWanted(text)
		require.ErrorContains(t, err, "accepted is a version, as in v0.21 or v0.21.8, latest, or the name", text)
	}
}
