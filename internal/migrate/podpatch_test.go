package migrate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/config"
)

// patchedRunner is a config.toml with one JSON patch.
func patchedRunner(operations ...string) string {
	return "[[runners]]\n  executor = \"kubernetes\"\n  [runners.kubernetes]\n    [[runners.kubernetes.pod_spec]]\n" +
		"      patch_type = \"json\"\n      patch = '''\n- " + strings.Join(operations, "\n- ") + "\n'''\n"
}

const (
	addHost = `{op: add, path: /containers/0/env/-, value: {name: _EXPERIMENTAL_DAGGER_RUNNER_HOST, ` +
		`value: "unix:///run/dagger/engine.sock"}}`
	addMount  = `{op: add, path: /containers/0/volumeMounts/-, value: {name: engine, mountPath: /run/dagger}}`
	addVolume = `{op: add, path: %s, value: {name: engine, hostPath: {path: /run/dagger}}}`
)

func TestOperationsOfJSONPatchesAreCounted(t *testing.T) {
	cases := map[string]struct {
		operations []string
		kept       []string // nil where the runner is to be left as it is
		why        string
	}{
		"at the end, before one at the end": {
			[]string{fmt.Sprintf(addVolume, "/volumes/-"), addMount, addHost, `{op: add, path: /volumes/-, value: {name: mine, emptyDir: {}}}`},
			[]string{"name: mine"}, ""},
		"in front, before one in front": {
			[]string{fmt.Sprintf(addVolume, "/volumes/0"), addMount, addHost, `{op: add, path: /volumes/0, value: {name: mine, emptyDir: {}}}`},
			[]string{"name: mine"}, ""},
		"in front, before one that counts on it": {
			[]string{fmt.Sprintf(addVolume, "/volumes/0"), addMount, addHost, `{op: add, path: /volumes/1, value: {name: mine, emptyDir: {}}}`},
			nil, "/spec/volumes/0/name"},
		"in front, before one that changes another behind it": {
			[]string{fmt.Sprintf(addVolume, "/volumes/0"), addMount, addHost, `{op: replace, path: /volumes/3/name, value: mine}`},
			nil, "cannot be applied"},
		"at the end, before one that changes another in front": {
			[]string{fmt.Sprintf(addVolume, "/volumes/-"), addMount, addHost, `{op: replace, path: /volumes/0/name, value: mine}`},
			[]string{"value: mine"}, ""},
		"a list that others add to": {
			[]string{fmt.Sprintf(addVolume, "/volumes/-"), addMount, addHost,
				`{op: add, path: /initContainers, value: [{name: cli, image: "registry.dagger.io/engine:v0.21.8", ` +
					`command: [cp, /usr/local/bin/dagger, /dagger-bin/dagger], volumeMounts: [{name: dagger-bin, mountPath: /dagger-bin}]}]}`,
				`{op: add, path: /volumes/-, value: {name: dagger-bin, emptyDir: {}}}`,
				`{op: add, path: /initContainers/-, value: {name: mine, image: mine}}`},
			nil, "cannot be applied"},
		"one that is tested": {
			[]string{fmt.Sprintf(addVolume, "/volumes/0"), `{op: test, path: /volumes/0/name, value: engine}`, addMount, addHost},
			nil, "cannot be applied"},
		"one that is moved": {
			[]string{fmt.Sprintf(addVolume, "/volumes/-"), `{op: move, from: /volumes/3, path: /volumes/0}`, addMount, addHost},
			nil, "cannot be applied"},
		"one that is copied": {
			[]string{fmt.Sprintf(addVolume, "/volumes/-"), addMount, addHost, `{op: copy, from: /containers/0/env, path: /containers/1/env}`},
			nil, "it copies"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := patchedRunner(c.operations...)
			report, err := Run([]Input{{"config.toml", []byte(before)}}, Options{Cluster: config.BuiltIn()})
			require.NoError(t, err)
			after, said := string(report.Files[0].After), strings.Join(report.Text(), "\n")
			if c.kept == nil {
				require.Equal(t, before, after, said)
				require.Equal(t, Cannot, report.Outcome(), said)
				require.Contains(t, said, c.why)
				return
			}
			require.NotEqual(t, Cannot, report.Outcome(), said)
			require.NotContains(t, after, "DAGGER")
			require.NotContains(t, after, "name: engine")
			for _, text := range c.kept {
				require.Contains(t, after, text)
			}
		})
	}
}

func TestHugePatchesAreReadInTime(t *testing.T) {
	var all []string
	for n := range 1500 {
		all = append(all, fmt.Sprintf(`{op: add, path: /volumes/0, value: {name: a%d}}`, n))
	}
	began := time.Now()
	for _, operations := range [][]string{append(all[:1200:1200], addHost), append(all, addHost)} {
		_, err := Run([]Input{{"config.toml", []byte(patchedRunner(operations...))}}, Options{Cluster: config.BuiltIn()})
		require.NoError(t, err)
	}
	require.Less(t, time.Since(began), time.Minute)
}
