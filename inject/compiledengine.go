package inject

import (
	"slices"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// compiledEngine is an engine as pods can be given it under one policy. It is never changed after it was made.
type compiledEngine struct {
	*engineFacts

	// The connections that the engine offers; nil for one that it does not. If it has replicas, tcp gives each pod one of them.
	socket, nodeTCP, nodeTCP6, tcp, tls *connection
	replicas                            *engine.Replicas

	sidecar *sidecar // an engine of the pod's own, which then offers nothing else; nil for none

	cli  *cliTemplates  // nil where there is no image
	wait *waitTemplates // nil where there is no image

	// onNode is added to a pod that must run on the engine's nodes. nodes is all that is known of those nodes, and the same unless
	// the policy says not to copy it.
	onNode, nodes *placement
}

// engineFacts is what decisions read of an engine itself.
type engineFacts struct {
	engine.Identity
	unixSocket *engine.Socket
	workload   string // as status and messages name it; empty where the policy names the engine
	unsafe     string // a Service that cannot be used, and why
	notCopied  []string
	// tolerations are those that the engine runs with and pods are given.
	tolerations int
	// skew says why the version of cli.image does not fit the discovered engine's; empty if it fits.
	skew string
	// pullSecrets are the Secrets that the engine's pods pull the CLI's image with, if that is the engine's own image.
	pullSecrets []string
}

// maxPullSecrets bounds how many of an engine's are compared with a pod's, to warn of one that the pod lacks.
const maxPullSecrets = 16

// compileEngines compiles the discovered engines under a policy. It shares memory with the policy like.
func compileEngines(policy *Policy, effective *config.Effective, engines Engines, like *Policy) {
	var found *engine.Found
	if found, policy.discoverErr = engines.find(&effective.Policy.Engine.Discover); found == nil {
		found = &engine.Found{}
	}
	policy.beyond = found.Left
	resolved := make([]engine.Engine, 0, max(len(found.Engines), 1))
	for _, d := range found.Engines {
		resolved = append(resolved, engine.Resolve(effective.Policy, d, effective.IsSet))
	}
	if len(resolved) == 0 {
		resolved = append(resolved, engine.Resolve(effective.Policy, nil, effective.IsSet))
	}
	slices.SortStableFunc(resolved, func(a, b engine.Engine) int { return engine.Compare(&a.Identity, &b.Identity) })
	engine.Attribute(resolved)
	policy.engines = make([]*compiledEngine, len(resolved))
	for i := range resolved {
		e := compileEngine(policy, effective.Policy, &resolved[i])
		if i < len(like.engines) {
			e = e.share(like.engines[i])
		}
		policy.engines[i] = e
	}
	policy.sidecars = compileSidecars(policy, effective.Policy, found.Engines)
	for i := range min(len(policy.sidecars), len(like.sidecars)) {
		policy.sidecars[i] = policy.sidecars[i].share(like.sidecars[i])
	}
	if slices.Equal(policy.sidecars, like.sidecars) {
		policy.sidecars = like.sidecars
	}
	if slices.Equal(policy.engines, like.engines) {
		policy.engines = like.engines
	}
}

func compileEngine(policy *Policy, c *config.InjectionPolicy, e *engine.Engine) *compiledEngine {
	compiled := &compiledEngine{replicas: e.Replicas, onNode: policy.anywhere}
	compiled.engineFacts = &engineFacts{
		Identity: e.Identity, unixSocket: e.Socket, unsafe: e.Unsafe, notCopied: e.Placement.NotCopied,
		tolerations: len(e.Placement.Tolerations), skew: e.Skew(), pullSecrets: e.PullSecrets[:min(len(e.PullSecrets), maxPullSecrets)],
	}
	if e.Workload != (engine.Workload{}) {
		compiled.workload = e.Workload.String()
	}
	compiled.connect(e, c.Engine.Socket.MountPath)
	if e.Image != "" {
		compiled.cli = newCLITemplates(&c.CLI, e.Image)
	}
	if c.Wait.Image != "" {
		compiled.wait = newWaitTemplates(&c.Wait, e.Image)
	}
	nodes := policy.anywhere.with(&e.Placement)
	compiled.nodes = same(&nodes, policy.anywhere)
	if c.Scheduling.FromEngine {
		compiled.onNode = compiled.nodes
	}
	return compiled
}

// share returns the other engine if the two are equal, and otherwise takes the equal parts from it.
func (c *compiledEngine) share(other *compiledEngine) *compiledEngine {
	c.engineFacts = same(c.engineFacts, other.engineFacts)
	c.replicas = same(c.replicas, other.replicas)
	c.sidecar = sameSidecar(c.sidecar, other.sidecar)
	c.cli = same(c.cli, other.cli)
	c.wait = sameWait(c.wait, other.wait)
	c.nodes = same(c.nodes, other.nodes)
	c.onNode = same(same(c.onNode, c.nodes), other.onNode)
	c.socket = sameConnection(c.socket, other.socket)
	c.nodeTCP = sameConnection(c.nodeTCP, other.nodeTCP)
	c.nodeTCP6 = sameConnection(c.nodeTCP6, other.nodeTCP6)
	c.tcp = sameConnection(c.tcp, other.tcp)
	c.tls = sameConnection(c.tls, other.tls)
	if *c == *other {
		return other
	}
	return c
}
