package inject

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// fleet is some engines at random, of which few fit every pod.
func fleet(rng *rand.Rand) []*engine.Discovered {
	var all []*engine.Discovered
	for i := range 1 + rng.IntN(6) {
		d := anEngine(fmt.Sprintf("e%d", i), fmt.Sprintf("v0.2%d.%d", rng.IntN(2), rng.IntN(2)), int32(rng.IntN(4)), 3)
		changes := []func(*engine.Discovered){draining, inPool("a"), inPool("b"), byNodeTCP, ofReplicas(3)}
		if i == 0 {
			changes = changes[:3] // it keeps its socket, which a policy names: else that may be any engine's
		}
		for _, change := range changes {
			if rng.IntN(4) == 0 {
				change(d)
			}
		}
		if d.NodeTCP != nil {
			d.NodeTCP.Port += int32(i) // two cannot have one port of a node
		}
		all = append(all, d)
	}
	return all
}

var podsOfMany = []string{
	podThat("", ""), podThat("v0.20", ""), podThat("v0.21.1", ""), podThat("e1", ""), podThat("", "nodeSelector: {pool: a}, "),
	podThat("", "tolerations: [{key: dagger-b, operator: Exists}], "),
	podThat("", "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: "+
		"pool, operator: NotIn, values: [a]}]}]}}}, "),
}

var policiesOfMany = []string{
	"", "engine: {transport: node-tcp}", "engine: {transport: tcp}", "engine: {discover: {version: v0.20}}\nwait: {image: w}",
	"cli: {delivery: none}", "cli: {delivery: image-volume}", "cli: {delivery: image-volume}\nwait: {image: w, when: use}",
	"wait: {image: w, when: use}",
	"engine: {socket: {hostPath: /run/e0}}", "engine: {transport: sidecar}\nwait: {image: w}",
}

// drawn returns a pod in a namespace whose policy finds many engines, all at random, and with them the policy and the engines.
func drawn(t *testing.T, rng *rand.Rand) (in Input, policy string, engines []*engine.Discovered) {
	t.Helper()
	engines, policy = fleet(rng), policiesOfMany[rng.IntN(len(policiesOfMany))]
	in = input(t, podsOfMany[rng.IntN(len(podsOfMany))])
	in.Cluster.ImageVolumes = true
	in.Policies = among(t, policy, engines...)
	return in, policy, engines
}

// TestTheChoiceDependsOnNoOrder has every replica of this program know the same engines in another order.
func TestTheChoiceDependsOnNoOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	injected := 0
	for range 300 {
		in, policy, engines := drawn(t, rng)
		want := Decide(in)
		for range 5 {
			rng.Shuffle(len(engines), func(i, j int) { engines[i], engines[j] = engines[j], engines[i] })
			in.Policies = among(t, policy, engines...)
			require.Equal(t, want, Decide(in))
		}
		if want.Decision == DecisionInjected {
			injected++
		}
	}
	require.Greater(t, injected, 100)
}

// TestAnEngineThatIsNotReadyChangesNothing adds one beside an engine that a pod is given and that has something ready.
func TestAnEngineThatIsNotReadyChangesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	held := 0
	for range 500 {
		in, policy, engines := drawn(t, rng)
		want := Decide(in)
		if want.Decision != DecisionInjected || in.Policies.given(want).Rollout.Readiness() == engine.NoneReady {
			continue
		}
		held++
		added := anEngine("added", "v9.9.9", 0, 3)
		if rng.IntN(2) == 0 {
			added.Rollout = nil
		}
		in.Policies = among(t, policy, append(engines, added)...)
		require.Equal(t, want, Decide(in))
	}
	require.Greater(t, held, 100)
}

// given returns the engine that a plan is for.
func (p *Policies) given(plan *Plan) *compiledEngine {
	for _, e := range p.standard.engines {
		if e.workload == plan.Status.ReadFrom {
			return e
		}
	}
	var least *compiledEngine // of several with one image, it may be any
	for _, e := range p.standard.sidecars {
		if e.sidecar.container.image == plan.Status.EngineImage && (least == nil || e.Rollout.Readiness() < least.Rollout.Readiness()) {
			least = e
		}
	}
	return least
}

// TestACallAgainKeepsTheEngine has another call of the same admission know other engines: what one has given, it keeps.
func TestACallAgainKeepsTheEngine(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	kept := 0
	for range 500 {
		in, policy, engines := drawn(t, rng)
		first := Decide(in)
		if first.Decision != DecisionInjected {
			continue
		}
		pod := patched(t, in, first)
		in.Pod = input(t, string(mustMarshal(pod))).Pod
		again := Decide(in)
		require.Equal(t, ReasonAlreadyInjected, again.Reason, "nothing has changed")
		require.Equal(t, first.Status, again.Status)

		// Meanwhile roll-outs go on, one begins to drain, a replica is added, and a newer engine comes.
		var later []*engine.Discovered
		for _, d := range engines {
			changed := *d
			changed.Rollout = &engine.Rollout{Wanted: 3, Ready: int32(rng.IntN(4))}
			changed.Draining = changed.Draining || rng.IntN(3) == 0
			if d.Replicas != nil {
				more := *d.Replicas
				more.Wanted, more.Offered = 4, 4
				changed.Replicas = &more
			}
			later = append(later, &changed)
		}
		in.Policies = among(t, policy, append(later, anEngine("z", "v9.9.9", 3, 3))...)
		again = Decide(in)
		require.Equal(t, ReasonAlreadyInjected, again.Reason, "%s %v", again.Detail, again.Operations)
		require.Equal(t, first.Status, again.Status)
		kept++
	}
	require.Greater(t, kept, 200)
}
