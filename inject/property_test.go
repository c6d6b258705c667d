package inject_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/data/fixtures"
)

// widePolicy adds everything that can be added.
const widePolicy = `
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine:
  socket: {hostPath: /run/dagger-dagger-dagger-helm, seLinuxOptions: {type: spc_t, level: "s0:c1"}}
  tcp: {address: engine.ci.svc:2555}
  tls: {address: engine.ci.svc:443, secretName: dagger-tls}
cli: {image: registry.dagger.io/engine:v0.21.8}
wait: {image: registry.example.com/dagger-inject:v1, imagePullSecret: dagger-inject-pull}
overrides: {fromPods: [profile, containers.include, wait.enabled, engine.transport, cli.delivery]}
env:
- {name: DAGGER_NO_NAG, value: "1"}
- {name: HTTP_PROXY, value: http://proxy:3128}
cloudToken: {secretName: dagger-cloud, key: token}
scheduling:
  tolerations:
  - {key: dagger-node, operator: Exists}
  - {key: actions-runner, value: "true", effect: NoSchedule}
  nodeSelector: {pool: ci}
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - matchExpressions: [{key: dagger.io/engine, operator: Exists}]
      - matchExpressions: [{key: zone, operator: In, values: [a, b]}]
        matchFields: [{key: metadata.name, operator: NotIn, values: [broken]}]
    preferredDuringSchedulingIgnoredDuringExecution:
    - {weight: 10, preference: {matchExpressions: [{key: disk, operator: In, values: [ssd]}]}}
`

// imagePolicy is the same with the CLI in an image volume.
var imagePolicy = strings.Replace(widePolicy, "cli: {", "cli: {delivery: image-volume, ", 1)

// usePolicy is the same with a dagger that waits when it is used.
var usePolicy = strings.Replace(imagePolicy, "wait: {", "wait: {when: use, ", 1)

func compile(t testing.TB, text string) *inject.Policies {
	t.Helper()
	policies := inject.NewPolicies(config.FromFile("test", []byte(text), config.OriginCluster), nil, nil)
	require.NoError(t, policies.Err())
	return policies
}

// TestInvariantsOnDamagedPods changes real pods at random places and holds the invariants against what results.
func TestInvariantsOnDamagedPods(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 12
	}
	// By the socket, by an address, where a mesh decides about the wait, and with the CLI from an image volume.
	transports := []*inject.Policies{
		compile(t, widePolicy), compile(t, strings.Replace(widePolicy, "engine:\n", "engine:\n  transport: tcp\n", 1)), compile(t, imagePolicy),
		compile(t, usePolicy),
	}
	outcomes := map[inject.Decision]int{}
	for _, c := range fixtures.All(t) {
		t.Run(c.Name, func(t *testing.T) {
			original := c.Pod(t)
			for seed := range rounds {
				policies := transports[seed%len(transports)]
				var pod any
				decoder := json.NewDecoder(strings.NewReader(string(original)))
				decoder.UseNumber()
				require.NoError(t, decoder.Decode(&pod))
				rng := rand.New(rand.NewPCG(uint64(seed), 1))
				for range 1 + rng.IntN(4) {
					pod = damage(rng, pod, 0)
				}
				text, err := json.Marshal(pod)
				require.NoError(t, err)
				outcomes[decide(t, &c, policies, string(text)).Decision]++
				checkInvariants(t, &c, policies, string(text))
			}
		})
	}
	t.Log(outcomes)
	require.NotZero(t, outcomes[inject.DecisionInjected])
	require.NotZero(t, outcomes[inject.DecisionError])
}

var oddKeys = []string{"dagger.io/wait", "istio.io/rev", "imagePullSecrets", "future", "a/b~c", `quo"te`, "é", "", "dagger.io/status",
	"env", "name"}

// damage walks down at random and changes one value.
func damage(rng *rand.Rand, v any, depth int) any {
	children := 0
	switch v := v.(type) {
	case map[string]any:
		children = len(v)
	case []any:
		children = len(v)
	}
	if children == 0 || depth > 0 && rng.IntN(5) == 0 {
		return replacement(rng, v)
	}
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		// Map order must not decide what a seed does.
		key := smallest(keys, rng.IntN(len(keys)))
		switch rng.IntN(12) {
		case 0:
			delete(v, key)
		case 1:
			v[oddKeys[rng.IntN(len(oddKeys))]] = replacement(rng, v[key])
		case 2:
			v[key] = nil
		default:
			v[key] = damage(rng, v[key], depth+1)
		}
	case []any:
		i := rng.IntN(len(v))
		switch rng.IntN(12) {
		case 0:
			return append(v, v[i])
		case 1:
			return append(v[:i:i], v[i+1:]...)
		default:
			v[i] = damage(rng, v[i], depth+1)
		}
	}
	return v
}

func smallest(keys []string, n int) string {
	for i := range keys {
		for j := i + 1; j < len(keys); j++ {
			if keys[j] < keys[i] {
				keys[i], keys[j] = keys[j], keys[i]
			}
		}
	}
	return keys[n]
}

func replacement(rng *rand.Rand, v any) any {
	switch rng.IntN(8) {
	case 0:
		return nil
	case 1:
		return map[string]any{"future": json.Number("9007199254740993.50"), "a/b~c": []any{map[string]any{}}}
	case 2:
		return []any{"x", nil, json.Number("1e400")}
	case 3:
		return "\u2028<&>\""
	case 4:
		return json.Number("-0")
	case 5:
		return true
	}
	return v
}

func TestAPodWithAThousandVariables(t *testing.T) {
	var env []string
	for i := range 1000 {
		env = append(env, fmt.Sprintf(`{"name":"V%d","value":"%d"}`, i, i))
	}
	env = append(env, `{"name":"V1","value":"again"}`)
	pod := `{"metadata":{"labels":{"dagger.io/inject":"true"}},"spec":{"containers":[{"name":"a","env":[` + strings.Join(env, ",") + `]}]}}`
	c := &fixtures.Case{Dir: fixtures.All(t)[0].Dir}
	checkInvariants(t, c, compile(t, widePolicy), pod)
	checkInvariants(t, c, compile(t, imagePolicy), pod)
	checkInvariants(t, c, compile(t, usePolicy), pod)
}

func FuzzDecide(f *testing.F) {
	cases := fixtures.All(f)
	for _, c := range cases {
		f.Add(string(c.Pod(f)), uint8(0))
		f.Add(string(c.Pod(f)), uint8(1))
		f.Add(string(c.Pod(f)), uint8(2))
	}
	all := []*inject.Policies{
		inject.NewPolicies(config.BuiltIn(), nil, nil), compile(f, widePolicy), compile(f, imagePolicy), compile(f, usePolicy),
	}
	f.Fuzz(func(t *testing.T, pod string, which uint8) {
		if json.Valid([]byte(pod)) {
			fuzzOne(t, all[int(which)%len(all)], pod)
		}
	})
}
