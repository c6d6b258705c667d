package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompatible(t *testing.T) {
	const (
		together = "was expected; the two work together"
		noRule   = "was expected; before v0.19.0 there is no rule"
		ids      = "only one of them is older than v0.21.0"
	)
	for name, c := range map[string]struct{ engine, client, note, problem string }{
		"an unknown client":         {"v0.21.8", "", "", ""},
		"an unknown client, a beta": {"v1.0.0-beta.10+0e19eba6", "", "", ""},
		"an unknown client, too old an engine": {"v0.18.0", "", "",
			"the engine is v0.18.0, and clients since v0.19.0 need at least that"},
		"the same":                              {"v0.21.8", "v0.21.8", "", ""},
		"the same, without the v":               {"v0.21.8", "0.21.8", "", ""},
		"a real answer of a beta":               {"v1.0.0-beta.10+0e19eba6", "v1.0.0-beta.10", "", ""},
		"a real answer of a build with changes": {"v1.0.0-beta.10+0e19eba6.dirty", "v1.0.0-beta.10", "", ""},
		"build metadata on both sides":          {"v1.0.0-beta.10+0e19eba6", "v1.0.0-beta.10+11111111", "", ""},
		"build metadata of the client alone":    {"v0.19.0", "v0.19.0+meta", "", ""},
		"betas that differ":                     {"v1.0.0-beta.10+0e19eba6", "v1.0.0-beta.7", "v1.0.0-beta.7 " + together, ""},
		"releases that differ":                  {"v0.21.8", "v0.21.0", "v0.21.0 " + together, ""},
		"a release and a beta":                  {"v0.21.8", "v1.0.0-beta.10", "v1.0.0-beta.10 " + together, ""},
		"IDs of an old client":                  {"v0.21.7", "v0.20.8", `v0.20.8 was expected; the two connect, but as ` + ids, ""},
		"IDs of an old engine":                  {"v0.20.8", "v0.21.7", ids, ""},
		"IDs of an old engine and a beta":       {"v0.19.0", "v1.0.0-beta.10", ids, ""},
		"IDs of a pre-release":                  {"v0.21.0-260101101010-0a1b2c3d", "v0.21.0", together, ""},
		"IDs of two old ones":                   {"v0.20.8", "v0.19.11", together, ""},
		"too old an engine": {"v0.18.19", "v0.19.0", "",
			"the engine is v0.18.19, and a client of v0.19.0 needs at least v0.19.0"},
		"too old an engine for a beta": {"v0.18.19", "v1.0.0-beta.10", "", "the engine is v0.18.19"},
		"too old a client": {"v0.21.8", "v0.18.19", "",
			"the client is v0.18.19, and an engine of v0.21.8 needs at least v0.19.0"},
		"too old a client for a beta": {"v1.0.0-beta.10+0e19eba6", "v0.18.19", "",
			"the client is v0.18.19, and an engine of v1.0.0-beta.10+0e19eba6 needs"},
		"two old ones":                                {"v0.18.0", "v0.18.0", "", ""},
		"two old ones that differ":                    {"v0.13.0", "v0.18.0", "v0.18.0 " + noRule, ""},
		"a pre-release of the minimum, for a release": {"v0.19.0-250929104512-0a1b2c3d", "v0.19.0", "", "the engine is v0.19.0-250929104512"},
		"a pre-release of the minimum, for a beta":    {"v0.19.0-250929104512-0a1b2c3d", "v1.0.0-beta.10", ids, ""},
		"a pre-release of the minimum, for an early beta": {"v0.19.0-250929104512-0a1b2c3d", "v1.0.0-beta.6", "",
			"the engine is v0.19.0-250929104512"},
		"a client of a pre-release, for a release": {"v0.21.8", "v0.19.0-beta.1", "", "the client is v0.19.0-beta.1"},
		"a client of a pre-release, for a beta":    {"v1.0.0-beta.10+0e19eba6", "v0.19.0-beta.1", ids, ""},
		"a pre-release judges by itself":           {"v0.18.9", "v0.19.0-beta.1", "", "the engine is v0.18.9"},
		"two development builds":                   {"v0.19.0-250929-dev-0a1b", "v0.19.1-250929-dev-0a1c", together, ""},
		"a development build, for a release":       {"v0.19.0-250929-dev-0a1b", "v0.19.1", "", "the engine is"},
		"no version":                               {"", "v0.21.8", "the engine does not know its version", ""},
		"a commit":                                 {"a1b2c3", "v0.21.8", "", "the engine is a1b2c3"},
	} {
		t.Run(name, func(t *testing.T) {
			note, err := Compatible(c.engine, c.client)
			if c.problem != "" {
				var bad *IncompatibleError
				require.ErrorAs(t, err, &bad)
				require.ErrorContains(t, err, c.problem)
				return
			}
			require.NoError(t, err)
			require.Contains(t, note, c.note)
			require.Equal(t, c.note == "", note == "", note)
		})
	}
	_, err := Compatible("v0.21.8", "latest")
	require.EqualError(t, err, `"latest" is not a version: want vX.Y.Z`)
}

func TestSkewIsSaidWhereTheTagsTell(t *testing.T) {
	const repository = "registry.dagger.io/engine:"
	for name, c := range map[string]struct{ cli, engine, want string }{
		"too old a client": {"v0.18.0", "v0.21.8", "the client is v0.18.0, and an engine of v0.21.8 needs at least v0.19.0"},
		"on both sides of v0.21": {"v0.20.8", "v0.21.7",
			"a client of v0.20.8 connects to an engine of v0.21.7, but as only one of them is older than v0.21.0"},
		"on the other side":         {"v0.21.7-gpu", "v0.20.8", "a client of v0.21.7 connects to an engine of v0.20.8"},
		"a beta and an old release": {"v1.0.0-beta.10", "v0.20.8", "a client of v1.0.0-beta.10 connects to an engine of v0.20.8"},
		"a variant":                 {"v0.19.0-wolfi", "v0.19.0-gpu", ""},
		"a variant of the minimum":  {"v0.19.0-gpu", "v0.20.8", ""},
		"no version":                {"latest", "v0.18.0", ""},
		"a fitting pair":            {"v0.21.0", "v0.21.8", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := Engine{named: repository + c.cli, discovered: &Discovered{Image: repository + c.engine}}
			skew := e.Skew()
			require.Contains(t, skew, c.want)
			require.Equal(t, c.want == "", skew == "", skew)
		})
	}
}
