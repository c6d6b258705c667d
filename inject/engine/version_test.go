package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/semver"
)

func TestTheVersionOfAnImage(t *testing.T) {
	const (
		repository = "registry.dagger.io/engine"
		digest     = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	)
	labels := map[string]string{"app.kubernetes.io/version": "v0.20.8"}
	for _, c := range []struct{ image, want, workload string }{
		// What Dagger publishes.
		{repository + ":v0.21.8", "v0.21.8", "v0.21.8"},
		{repository + ":v0.21.8" + digest, "v0.21.8", "v0.21.8"},
		{repository + ":v0.21.8-gpu", "v0.21.8", "v0.21.8"},
		{repository + ":v0.18.0-wolfi", "v0.18.0", "v0.18.0"},
		{repository + ":v0.18.0-wolfi-gpu", "v0.18.0", "v0.18.0"},
		{repository + ":v1.0.0-beta.10", "v1.0.0-beta.10", "v1.0.0-beta.10"},
		{repository + ":v1.0.0-beta.10-gpu", "v1.0.0-beta.10", "v1.0.0-beta.10"},
		{repository + ":v0.19.0-250929104512-0a1b2c3d", "v0.19.0-250929104512-0a1b2c3d", "v0.19.0-250929104512-0a1b2c3d"},
		{repository + ":v0.19.0-250929104512-0a1b2c3d-gpu", "v0.19.0-250929104512-0a1b2c3d", "v0.19.0-250929104512-0a1b2c3d"},
		{repository + ":v0.19.9-241210-dev-abc123", "v0.19.9-241210-dev-abc123", "v0.19.9-241210-dev-abc123"},
		{repository + ":latest", "", ""},
		{repository + ":latest-gpu", "", ""},
		{repository + ":main", "", ""},
		{repository + ":0112305812438bc5672132abc2c2eb602338b1fc", "", ""},
		{repository, "", ""},
		{repository + digest, "", "v0.20.8"},
		// What others make of it.
		{"localhost:5000/dagger/engine:v0.21.8", "v0.21.8", "v0.21.8"},
		{"localhost:5000/dagger/engine", "", ""},
		{"a/dagger/engine:0.21.8", "v0.21.8", "v0.21.8"},
		{"a/dagger/engine:v0.21.8-corp.3", "v0.21.8", "v0.21.8"},
		{"a/dagger/engine:v0.21.8-gpu-2", "v0.21.8", "v0.21.8"},
		{"a/dagger/engine:v1.0.0-rc1-corp", "v1.0.0-rc1", "v1.0.0-rc1"},
		{"a/dagger/engine:v1.0.0-beta.10_0e19eba6", "v1.0.0-beta.10", "v1.0.0-beta.10"},
		{"a/dagger/engine:v1.0.0-betamax", "v1.0.0", "v1.0.0"},
		{"a/dagger/engine:v01.2.3", "", ""},
		{"a/dagger/engine:v1.2", "", ""},
		{"a/dagger/engine:v1.2.3.4", "", ""},
		{"a/dagger/engine:v1.2.3x", "", ""},
		{"a/dagger/engine:sha-v1.2.3", "", ""},
		// Somebody's own image, which counts as an engine by its container's name alone.
		{"a/tools:v0.21.8", "", "v0.21.8"},
		{"a/tools:1.4.0", "", ""},
		{"a/tools" + digest, "", "v0.20.8"},
	} {
		require.Equal(t, c.want, ImageVersion(c.image), c.image)
		require.Equal(t, c.workload, version(c.image, labels), c.image)
	}
}

func TestVersionsInOrder(t *testing.T) {
	ordered := []string{"latest", "v0.9.11", "v0.13.7", "0.19.0", "v0.21.8", "v1.0.0-beta.2", "1.0.0-beta.10", "v1.0.0"}
	shuffled := slices.Clone(ordered)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, CompareVersions)
	require.Equal(t, ordered, shuffled)
	require.Zero(t, CompareVersions("v1.0.0-beta.10+0e19eba6", "1.0.0-beta.10"))
	require.Zero(t, CompareVersions("", "latest"))
}

func TestWhatIsNoVersion(t *testing.T) {
	for _, s := range []string{"v0.21.8", "0.21.8", "v1.0.0-beta.10+0e19eba6", "v0.19.0-250929-dev-0a1b", "v1.2.3+a-b.c"} {
		require.NoError(t, CheckVersion(s), s)
	}
	for _, s := range []string{
		"", "v", "latest", "v1", "v1.2", "v1.2.3.4", "v01.2.3", "v1.2.3-", "v1.2.3+", "v1.2.x", "v1.2.-3", "sha256:abc", "v1.2.3-a b", "vv1.2.3",
	} {
		require.EqualError(t, CheckVersion(s), `"`+s+`" is not a version: want vX.Y.Z`)
	}
}

func FuzzVersions(f *testing.F) {
	for _, tag := range []string{"v0.21.8", "v1.0.0-beta.10+0e19eba6", "v0.18.0-wolfi-gpu", "0.19.0-250929-dev-0a1b", "latest",
		"v1.2.3-rc.1_x", "v\x00"} {
		f.Add(tag, "v0.21.8")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if v := versionOf(a); v != "" {
			require.NoError(t, CheckVersion(v))
			require.True(t, strings.HasPrefix(strings.TrimPrefix(a, "v"), v[1:]), "%q is read as %s", a, v)
			require.Equal(t, v, versionOf(v), "a version is its own")
		}
		require.Equal(t, CompareVersions(a, b), -CompareVersions(b, a))
		if CheckVersion(a) != nil {
			return
		}
		note, err := Compatible(a, a)
		require.NoError(t, err)
		require.Empty(t, note, "a version fits itself")
		plain := strings.TrimSuffix(a, semver.Build(withV(a)))
		note, err = Compatible(a, plain)
		require.NoError(t, err)
		require.Empty(t, note, "build metadata does not count")
	})
}
