package inject

import (
	"fmt"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// choice chooses the engine for one pod, and how the pod reaches it.
//
// If an earlier call connected the pod to an engine, the pod keeps it. Otherwise these rules apply in order, until one engine is left:
//
//  1. What the pod's annotation dagger.io/engine asks for, else engine.discover.version: a version, or, in the annotation, the
//     name of a workload. If there is no such engine, the pod gets none.
//  2. Engines that are not draining, unless the pod or the policy asks for one by its name or its whole version. If all are
//     draining, the pod gets none.
//  3. Engines with a transport that can work for the pod. If the transport leads to the engine of the pod's own node, the engine's
//     nodes must also fit the pod's nodeSelector and node affinity. If no engine is left, the pod gets none.
//  4. The newest version that has at least half of the replicas of its rollout ready; else the newest that has one ready; else the
//     newest (engine.Compare).
//  5. Among equals, an engine whose taints the pod tolerates itself: of two pools, the pod is meant for that one.
//  6. The first by name.
//
// Nothing here depends on the order of events: every replica that knows the same workloads gives the same pod the same engine. An
// engine with no ready replica comes after every engine with one, so adding it changes nothing for pods that get a ready engine.
type choice struct {
	policy *Policy
	in     *Input
	pod    *pod
	// transport and wanted are what the policy or the pod asks for; byPod is true where the pod asks for wanted.
	transport config.Transport
	wanted    engine.Wanted
	byPod     bool
	// engines are those that may be chosen, the preferred first.
	engines []*compiledEngine
	system  System
	// forbids is what forbids hostPath volumes, and privilegedForbidden what forbids privileged containers; empty for nothing.
	forbids, privilegedForbidden string
	ownKernel                    string // why the pod may have a kernel of its own, empty for nothing
	stop                         interruption

	// held is the engine that the pod is connected to already, nil for none, and replica which of its replicas.
	held    *compiledEngine
	replica int32
	// judgement is that of the transports to the engine judged; see judge.
	judgement offers
	judged    *compiledEngine
}

// noReplica stands for none.
const noReplica = -1

// chooseEngine returns the engine of a pod and how the pod reaches it, or why there is none.
func chooseEngine(d *decision) (*compiledEngine, *connection, *obstacle) {
	c := &choice{
		policy: d.policy, in: d.in, pod: d.pod, transport: d.choices.transport, wanted: d.choices.wanted, byPod: d.choices.wantedByPod,
		replica: noReplica, stop: d.in.Interrupted, engines: d.policy.engines, system: d.plan.System,
		privilegedForbidden: d.in.Namespace.forbidsHostPath(d.policy.podSecurity), ownKernel: ownKernel(d.pod, d.policy.runtimeClasses),
	}
	if !d.policy.ignorePodSecurity {
		c.forbids = c.privilegedForbidden
	}
	if c.transport == config.TransportSidecar {
		c.engines = d.policy.sidecars
	}
	e, connection := c.choose(d.targets)
	d.in.Trace.engines(c, e, connection)
	switch {
	case e == nil:
		return nil, nil, &obstacle{ReasonNoEngine, c.noneWanted()}
	case connection == nil:
		return nil, nil, c.refusal(e)
	}
	return e, connection, nil
}

// choose returns the engine, nil where none is wanted, and its connection, nil where the pod cannot have one.
func (c *choice) choose(targets []*container) (*compiledEngine, *connection) {
	engines := c.engines
	if len(engines) > 1 || engines[0].replicas != nil {
		if c.holds(targets); c.held != nil {
			return c.held, c.connect(c.held)
		}
	}
	var candidate, reachable *compiledEngine
	for i, e := range engines {
		if i > 0 && c.stop.now() {
			break // the caller ends the decision
		}
		if !c.asksFor(e) {
			continue
		}
		// If no engine can be reached, one whose socket the pod may not use explains it best.
		if candidate == nil || c.forbids+c.sandbox(e) != "" && candidate.socket == nil && e.socket != nil {
			candidate = e
		}
		connection := c.connect(e)
		if connection == nil {
			continue
		}
		if reachable == nil {
			reachable = e
		}
		if len(engines) == 1 || c.canGoTo(e, connection) {
			return c.preferTolerated(i, connection)
		}
	}
	if reachable != nil {
		return reachable, c.connect(reachable) // adding its placement reports the contradiction
	}
	return candidate, nil
}

// asksFor applies the first two rules.
func (c *choice) asksFor(e *compiledEngine) bool {
	return c.wanted.Matches(&e.Identity) && (!e.Draining || e.sidecar != nil || c.wanted.NamesOne())
}

// connect returns the pod's connection to an engine, nil where the pod can have none.
func (c *choice) connect(e *compiledEngine) *connection { return c.judge(e).first() }

func (c *choice) sandbox(e *compiledEngine) string { return sandbox(c.pod, e, c.ownKernel) }

// canGoTo reports whether the pod can run where the connection works. It ignores taints: the pod gets the tolerations that it lacks.
func (c *choice) canGoTo(e *compiledEngine, connection *connection) bool {
	if !connection.nodeLocal || c.pod.nodeName != "" {
		return true
	}
	return e.nodes.contradiction(c.pod, c.stop) == nil
}

// preferTolerated applies the fifth rule to the engine at an index, which fits, and those that are as good.
func (c *choice) preferTolerated(at int, connection *connection) (*compiledEngine, *connection) {
	engines := c.engines
	first := engines[at]
	if at+1 == len(engines) || !asGood(first, engines[at+1]) || c.pod.tolerations.Len() == 0 || c.tolerates(first, connection) {
		return first, connection
	}
	for _, e := range engines[at+1:] {
		if !asGood(first, e) {
			break
		}
		if !c.asksFor(e) {
			continue
		}
		if other := c.connect(e); other != nil && c.tolerates(e, other) && c.canGoTo(e, other) {
			return e, other
		}
	}
	return first, connection
}

// asGood reports whether only their names tell two engines apart.
func asGood(a, b *compiledEngine) bool {
	x, y := a.Identity, b.Identity
	x.Workload, y.Workload = engine.Workload{}, engine.Workload{}
	return engine.Compare(&x, &y) == 0
}

// tolerates reports whether the engine's nodes have taints, as far as its tolerations tell, and the pod tolerates all.
func (c *choice) tolerates(e *compiledEngine, connection *connection) bool {
	if !connection.nodeLocal || e.tolerations == 0 || e.nodes.problem != "" {
		return false
	}
	own := readTolerations(c.pod, 0)
	for _, t := range e.nodes.tolerations[len(e.nodes.tolerations)-e.tolerations:] {
		if !coveredByAny(t.Toleration, own) {
			return false
		}
	}
	return true
}

// asker names what asks for certain engines: the pod's annotation or the policy's field.
func (c *choice) asker() string {
	if c.byPod {
		return "the annotation " + AnnotationEngine
	}
	return "the policy's " + config.FieldEngineVersion
}

// mostNamed is how many engines a message names.
const mostNamed = 8

// noneWanted says why no engine is what the pod or the policy asks for.
func (c *choice) noneWanted() string {
	if first := c.engines[0]; first.workload == "" {
		because := "of the engine that the policy names, no version is known"
		if first.Version != "" {
			because = "engine.sidecar.image is of " + first.Version
		}
		if c.policy.discoverErr != nil && first.sidecar == nil {
			because = c.policy.discoverErr.Error()
		}
		return fmt.Sprintf("%s asks for %.60s: %s", c.asker(), c.wanted, because)
	}
	var names []string
	for i, e := range c.engines {
		if i == mostNamed {
			names = append(names, fmt.Sprintf("%d more", len(c.engines)+c.policy.beyond-i))
			break
		}
		name := e.versionOr("an unknown version") + " (" + e.workload
		if e.Draining {
			name += ", draining"
		}
		names = append(names, name+")")
	}
	have := strings.Join(names, ", ")
	if c.wanted.IsAny() {
		return "every engine is draining: " + have
	}
	return fmt.Sprintf("%s asks for %.60s, and there is %s", c.asker(), c.wanted, have)
}

func (c *compiledEngine) versionOr(unknown string) string {
	if c.Version == "" {
		return unknown
	}
	return c.Version
}

// refusal says why the pod cannot reach an engine.
func (c *choice) refusal(e *compiledEngine) *obstacle {
	auto := c.transport == config.TransportAuto
	for _, o := range c.judge(e) {
		switch o.verdict {
		case forbidden:
			return obstructf(ReasonHostPathForbidden, "hostPath volumes are forbidden by %s", c.forbids)
		case sandboxed:
			return &obstacle{ReasonSandboxed, c.sandbox(e)}
		case unfitForSidecar:
			return c.noSidecar(e)
		}
	}
	switch {
	case c.policy.discoverErr != nil:
		return &obstacle{ReasonNoEngine, c.policy.discoverErr.Error()}
	case e.unsafe != "" && (auto || c.transport == config.TransportTCP):
		return &obstacle{ReasonNoEngine, "the Service " + e.unsafe}
	case !auto:
		return obstructf(ReasonNoEngine, "the transport is %s, and the engine does not offer it", c.transport)
	case e.workload != "":
		return &obstacle{ReasonNoEngine, e.workload + " offers nothing that the pod can reach"}
	}
	return obstruct(ReasonNoEngine)
}
