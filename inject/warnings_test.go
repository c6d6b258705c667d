package inject

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

func TestVariablesThatDefeatUsAreWarnedAbout(t *testing.T) {
	cases := map[string]string{
		"{name: DAGGER_CLOUD_ENGINE, " +
			"value: 'false'}": "container a sets DAGGER_CLOUD_ENGINE",
		"{name: DAGGER_CLOUD_ENGINE}": "container a sets DAGGER_CLOUD_ENGINE",
		"{name: DAGGER_SESSION_PORT, " +
			"value: '1'}": "container a sets DAGGER_SESSION_PORT",
		"{name: DAGGER_SESSION_LATER, value: x}": "container a sets " +
			"DAGGER_SESSION_PORT, DAGGER_SESSION_TOKEN or the like",
		"{name: DAGGER_CLOUD_TOKEN, value: ''}": "container a sets " +
			"DAGGER_CLOUD_TOKEN to nothing",
		"{name: DAGGER_CLOUD_TOKEN}": "container a sets " +
			"DAGGER_CLOUD_TOKEN to nothing",
		"{name: DAGGER_CLOUD_TOKEN, value: x}, {name: DAGGER_CLOUD_TOKEN}": "container a sets " +
			"DAGGER_CLOUD_TOKEN to nothing",
		"{name: DAGGER_CLOUD_TOKEN}, {name: DAGGER_CLOUD_TOKEN, value: x}":                                 "",
		"{name: DAGGER_CLOUD_TOKEN, value: x}":                                                             "",
		"{name: DAGGER_CLOUD_TOKEN, value: '', valueFrom: {secretKeyRef: {name: s, key: k}}}":              "",
		"{name: DAGGER_SESSION, value: x}, {name: MY_DAGGER_SESSION_PORT, value: x}, {name: DAGGER_CLOUD}": "",
	}
	for env, want := range cases {
		plan := Decide(input(t, strings.Replace(asking, "%s", env, 1)))
		require.Equal(t, DecisionInjected, plan.Decision)
		if want == "" {
			require.Empty(t, plan.Warnings, env)
			continue
		}
		require.Len(t, plan.Warnings, 1, env)
		require.Contains(t, plan.Warnings[0], want)
	}
}

func TestWarningsStayWithinWhatTheAPIServerPassesOn(t *testing.T) {
	long := strings.Repeat("é", 50<<10)
	var containers []string
	for i := range 200 {
		containers = append(containers,
			fmt.Sprintf("{name: '%s%d', env: [{name: DAGGER_CLOUD_ENGINE}, {name: DAGGER_CLOUD_TOKEN}, {name: DAGGER_SESSION_PORT}]}",
				long[:1<<10], i))
	}
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: ["+strings.Join(containers, ", ")+"]}}")
	d := daemonSet()
	d.ImagePullSecrets = []string{long, long}
	d.Image = "registry.dagger.io/" + long
	in.Policies = withEngine(t, "", d, nil)
	plan := Decide(in)
	require.Equal(t, DecisionInjected, plan.Decision)
	require.Len(t, plan.Warnings, 4)
	total := 0
	for _, warning := range plan.Warnings {
		total += len(warning)
	}
	require.LessOrEqual(t, total, 4096)
	require.Contains(t, plan.Warnings[0], "and 192 more")

	full := &Plan{}
	for range 10 {
		full.warn(strings.Repeat("x", 1500))
	}
	require.Len(t, full.Warnings, 3)
	require.True(t, strings.HasSuffix(full.Warnings[2], "x..."))
}

func TestTheCLIsImageAndTheEngine(t *testing.T) {
	tagged := func(image string) *engine.Discovered {
		d := daemonSet()
		d.Image = image
		return d
	}
	secret := func(image string) *engine.Discovered {
		d := tagged(image)
		d.ImagePullSecrets = []string{"pull"}
		return d
	}
	d := "registry.dagger.io/engine:"
	digest := "@sha256:" + strings.Repeat("0", 64)
	cases := map[string]struct {
		policy, pod string
		engine      *engine.Discovered
		want        string
	}{
		"a client that is too old": {"cli: {image: 'a/dagger/engine:v0.18.0'}", "", tagged(d + "v0.21.8"),
			"the client is v0.18.0, and an engine of v0.21.8 needs at least v0.19.0"},
		"an engine that is too old": {"cli: {image: 'a/dagger/engine:v0.21.8'}", "", tagged(d + "v0.18.0"),
			"the engine is v0.18.0, and a client of v0.21.8 needs at least v0.19.0"},
		"a tag of somebody's own": {"cli: {image: 'a/tools:v0.3.0'}", "", tagged(d + "v0.21.8"), ""},
		"both new":                {"cli: {image: 'a/dagger/engine:v0.21.0'}", "", tagged(d + "v0.21.8"), ""},
		"both old":                {"cli: {image: 'a/dagger/engine:v0.15.0'}", "", tagged(d + "v0.18.0"), ""},
		"a tag and a digest": {"cli: {image: 'a/dagger/engine:v0.18.0" + digest + "'}", "", tagged(d + "v0.21.8" + digest),
			"the client is v0.18.0"},
		"a digest alone":            {"cli: {image: 'a/dagger/engine" + digest + "'}", "", tagged(d + "v0.21.8"), ""},
		"the engine's digest alone": {"cli: {image: 'a/dagger/engine:v0.18.0'}", "", tagged("registry.dagger.io/engine" + digest), ""},
		"a tag that is no version":  {"cli: {image: 'a/dagger/engine:main'}", "", tagged(d + "v0.18.0"), ""},
		"IDs that the other cannot read": {"cli: {image: 'a/dagger/engine:v0.20.8'}", "", tagged(d + "v0.21.8"),
			"a client of v0.20.8 connects to an engine of v0.21.8, but"},
		"a variant of a release": {"cli: {image: 'a/dagger/engine:v0.19.0-gpu'}", "", tagged(d + "v0.20.8"), ""},
		"a pre-release of the minimum": {"cli: {image: 'a/dagger/engine:v0.19.0-beta.1'}", "", tagged(d + "v0.20.8"),
			"the client is v0.19.0-beta.1"},
		"the same for a beta": {"cli: {image: 'a/dagger/engine:v0.19.0-beta.1'}", "", tagged(d + "v1.0.0-beta.10"),
			"a client of v0.19.0-beta.1 connects"},
		"another engine by address": {"cli: {image: 'a/dagger/engine:v0.18.0'}\nengine: {transport: tcp, tcp: {address: 'e:1'}}", "",
			tagged(d + "v0.21.8"), ""},
		"the same socket by name": {"cli: {image: 'a/dagger/engine:v0.18.0'}\nengine: {socket: {hostPath: /run/dagger-x, " +
			"file: e.sock}}", "", tagged(d + "v0.21.8"), "the client is v0.18.0"},
		"another socket by name": {"cli: {image: 'a/dagger/engine:v0.18.0'}\nengine: {socket: {hostPath: /run/other}}", "",
			tagged(d + "v0.21.8"), ""},
		"no CLI": {"cli: {delivery: none, image: 'a/dagger/engine:v0.18.0'}", "", tagged(d + "v0.21.8"), ""},
		"a Secret that the pod lacks": {"", "", secret("e:1"),
			"pulled with the Secret pull, and the pod lists no such imagePullSecrets"},
		"a Secret, and a pod with another":     {"", ", imagePullSecrets: [{name: own}]", secret("e:1"), "pulled with the Secret pull"},
		"a Secret that the pod lists":          {"", ", imagePullSecrets: [{name: own}, {name: pull}]", secret("e:1"), ""},
		"a Secret, and an image of the policy": {"cli: {image: 'own:1'}", "", secret("e:1"), ""},
		"a Secret, and the same image":         {"cli: {image: 'e:1'}", "", secret("e:1"), "pulled with the Secret pull"},
		"a Secret, and no CLI":                 {"cli: {delivery: none}", "", secret("e:1"), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]"+c.pod+"}}")
			in.Policies = withEngine(t, c.policy, c.engine, nil)
			plan := Decide(in)
			require.Equal(t, DecisionInjected, plan.Decision)
			if c.want == "" {
				require.Empty(t, plan.Warnings)
				return
			}
			require.Len(t, plan.Warnings, 1)
			require.Contains(t, plan.Warnings[0], c.want)
		})
	}
}
