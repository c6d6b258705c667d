package probe_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
)

func TestTheVersionIsACauseOfItsOwn(t *testing.T) {
	_, err := probe.Compatible("v0.18.0", "v0.21.8")
	requireCause(t, probe.CauseVersion, "the engine is v0.18.0", err)
	_, err = probe.Compatible("v0.21.8", "latest")
	require.EqualError(t, err, `"latest" is not a version: want vX.Y.Z`)
	note, err := probe.Compatible("v1.0.0-beta.10+0e19eba6", "v1.0.0-beta.10")
	require.NoError(t, err)
	require.Empty(t, note)
}
