package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// events are lines of go test -json, with what tests say of themselves.
const events = `
{"Action":"run","Test":"TestGoldens"}
{"Action":"run","Test":"TestGoldens/gha"}
{"Action":"attr","Test":"TestGoldens/gha","Key":"kubernetes","Value":"v1.31.14"}
{"Action":"attr","Test":"TestGoldens/gha","Key":"runner","Value":"actions-runner-controller"}
{"Action":"attr","Test":"TestGoldens/gha","Key":"engine","Value":"v0.21.8"}
{"Action":"pass","Test":"TestGoldens/gha","Elapsed":0.1}
{"Action":"run","Test":"TestGoldens/image"}
{"Action":"attr","Test":"TestGoldens/image","Key":"kubernetes","Value":"v1.31.14"}
{"Action":"attr","Test":"TestGoldens/image","Key":"runner","Value":"gitlab-runner"}
{"Action":"output","Test":"TestGoldens/image","Output":"=== RUN   TestGoldens/image\n"}
{"Action":"output","Test":"TestGoldens/image","Output":"    version_test.go:44: it needs image volumes\n"}
{"Action":"output","Test":"TestGoldens/image","Output":"    --- SKIP: TestGoldens/image (0.01s)\n"}
{"Action":"skip","Test":"TestGoldens/image","Elapsed":0.1}
{"Action":"pass","Test":"TestGoldens","Elapsed":0.2}
{"Action":"run","Test":"TestARC"}
{"Action":"run","Test":"TestARC/quota"}
{"Action":"attr","Test":"TestARC/quota","Key":"runner","Value":"actions-runner-controller"}
{"Action":"attr","Test":"TestARC/quota","Key":"ownCode","Value":"true"}
{"Action":"pass","Test":"TestARC/quota"}
{"Action":"run","Test":"TestARC/outage"}
{"Action":"output","Test":"TestARC/outage","Output":"    arc_test.go:1: no pod\n"}
`

func collect(t *testing.T, text string) *collector {
	t.Helper()
	c, err := gather(strings.NewReader(strings.TrimSpace(text)), io.Discard)
	require.NoError(t, err)
	return c
}

func TestARunIsCounted(t *testing.T) {
	ended := collect(t, events+`{"Action":"pass","Test":"TestARC/outage"}
{"Action":"pass","Test":"TestARC"}`)
	r, err := ended.result("2026-01-02")
	require.NoError(t, err)
	require.Equal(t, "v1.31.14", r.Kubernetes)
	require.Equal(t, map[string]*count{"TestGoldens": {Passed: 1, Skipped: 1}, "TestARC": {Passed: 2}}, r.Tests)
	require.Equal(t, map[string]string{"TestGoldens/image": "it needs image volumes"}, r.Skipped)
	require.Empty(t, r.Failed)
	arc, gitlab := r.Runners["actions-runner-controller"], r.Runners["gitlab-runner"]
	require.Equal(t, &runner{Recorded: count{Passed: 1}, OwnCode: count{Passed: 1}, Engines: map[string]*count{"v0.21.8": {Passed: 1}}}, arc)
	require.Equal(t, "passed, own code too", arc.cell())
	require.Equal(t, notRun, gitlab.cell(), "what was skipped has not passed")
	require.Equal(t, "1.31", engineCell([]*result{r}, "actions-runner-controller", "v0.21.8"))
	require.Equal(t, notRun, engineCell([]*result{r}, "gitlab-runner", "v0.21.8"))
	require.Equal(t, notRun, (*runner)(nil).cell())
}

func TestATestThatDidNotEndHasFailed(t *testing.T) {
	r, err := collect(t, events).result("2026-01-02")
	require.NoError(t, err)
	require.Equal(t, []string{"TestARC/outage"}, r.Failed)
	require.Equal(t, count{Passed: 2, Skipped: 1, Failed: 1}, r.total())

	lost := collect(t, strings.Replace(events, `"pass","Test":"TestARC/quota"`, `"fail","Test":"TestARC/quota"`, 1)+
		`{"Action":"pass","Test":"TestARC/outage"}
{"Action":"fail","Test":"TestARC"}`)
	r, err = lost.result("2026-01-02")
	require.NoError(t, err)
	require.Equal(t, []string{"TestARC/quota"}, r.Failed, "the parent fails for its subtest alone")
	require.Equal(t, failed, r.Runners["actions-runner-controller"].cell())
}

func TestAParentThatFailsByItself(t *testing.T) {
	r, err := collect(t, events+`{"Action":"pass","Test":"TestARC/outage"}
{"Action":"fail","Test":"TestARC"}`).result("2026-01-02")
	require.NoError(t, err)
	require.Equal(t, []string{"TestARC"}, r.Failed)
}

func TestWhatIsNoResult(t *testing.T) {
	_, err := collect(t, `{"Action":"pass","Test":"TestA"}`).result("2026-01-02")
	require.EqualError(t, err, "no test said against which version of Kubernetes it ran")
	_, err = collect(t, events+`{"Action":"attr","Test":"TestA","Key":"kubernetes","Value":"v1.32.1"}`).result("2026-01-02")
	require.ErrorContains(t, err, "the tests ran against Kubernetes v1.3")
	_, err = gather(strings.NewReader("no JSON"), io.Discard)
	require.ErrorContains(t, err, `go test -json: "no JSON"`)
}

func TestAResultIsReadAsItWasWritten(t *testing.T) {
	folder := t.TempDir()
	old, err := collect(t, events).result("2026-01-02")
	require.NoError(t, err)
	recent := *old
	recent.Kubernetes = "v1.37.2"
	for _, r := range []*result{old, &recent} {
		_, err = r.write(folder)
		require.NoError(t, err)
	}
	all, err := read(folder)
	require.NoError(t, err)
	require.Equal(t, []*result{&recent, old}, all, "the newest first")

	require.NoError(t, os.Rename(folder+"/v1.31.json", folder+"/v1.30.json"))
	_, err = read(folder)
	require.ErrorContains(t, err, `v1.30.json: it is the result of Kubernetes "v1.31.14"`)
	require.NoError(t, os.WriteFile(folder+"/v1.30.json", []byte("{"), 0o600))
	_, err = read(folder)
	require.ErrorContains(t, err, "v1.30.json: unexpected end of JSON input")
}
