package enginechart

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARenamedReleaseIsWhatTheChartMakesOfThatName(t *testing.T) {
	const name = "ci-dagger-helm"
	renamed, err := Release("v0.17.2-default", name)
	require.NoError(t, err)
	own, err := Release("v0.17.2-renamed-release", name)
	require.NoError(t, err)
	require.Equal(t, own, renamed)
	require.Equal(t, Workload(name), renamed[0].GetName())
}

func TestTwoReleasesShareNothing(t *testing.T) {
	old, err := Release("v0.20.8-default", "dagger-v0-20-8")
	require.NoError(t, err)
	require.Len(t, old, 1)
	require.Equal(t, "dagger-v0-20-8-dagger-helm-engine", old[0].GetName())
	require.Equal(t, "dagger-v0-20-8", old[0].GetLabels()["app.kubernetes.io/instance"])
	text, err := old[0].MarshalJSON()
	require.NoError(t, err)
	require.Contains(t, string(text), `"/run/dagger-dagger-v0-20-8-dagger-helm"`)
	require.Contains(t, string(text), `"/var/lib/dagger-dagger-v0-20-8-dagger-helm"`)
	require.NotContains(t, string(text), "dagger-dagger-helm", "the release that the file holds")
}
