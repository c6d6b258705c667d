package inject

import (
	"cmp"
	"slices"

	"github.com/dagger-inject/dagger-inject/config"
)

// Trace describes how a decision came about, for people. Decide fills the one in its Input as far as it gets; the decision is
// the same with and without it.
type Trace struct {
	// AskedBy says whose label asks for injection.
	AskedBy Asker
	// OnError is the onError of the policy that applied, or empty if the decision came before it.
	OnError config.OnError
	// ContainersBy names the annotation or the policy's field that chooses containers; it is empty if the rule for the pod's
	// system does.
	ContainersBy string
	// Containers are the pod's regular containers in their order, with what happens to each.
	Containers []ContainerTrace
	// Engines are those among which one was chosen, the preferred first; none where there was no choice.
	Engines []EngineChoice
	// Transports are the ways to the engine in the order in which they are tried.
	Transports []TransportTrace
	// Engine is what was known of the engine in the cluster, the one that was chosen.
	Engine EngineTrace
	// CacheAffinity is how the pod was placed by the cache of its project; nil where the policy does not do so.
	CacheAffinity *CacheAffinityTrace
}

// Asker is whose label asks for injection.
type Asker string

// The askers.
const (
	AskedByNobody    Asker = ""
	AskedByPod       Asker = "pod"
	AskedByNamespace Asker = "namespace"
	// AskedOptionally is a pod whose label is optional.
	AskedOptionally Asker = "optional"
)

// ContainerTrace is a container and whether injection reaches it.
type ContainerTrace struct {
	Name string `json:"name"`
	// Reached is true if injection reaches the container.
	Reached bool `json:"reached"`
	// Because says why it does not, or which part of the container stays as it is.
	Because string `json:"because,omitempty"`
}

// TransportTrace is a transport and whether it was taken.
type TransportTrace struct {
	Transport config.Transport `json:"transport"`
	Taken     bool             `json:"taken"`
	// Engine is the address that the Dagger client would be given, empty where the engine does not offer the transport.
	Engine string `json:"engine,omitempty"`
	// NodeLocal is true if the address leads to the engine on the pod's own node.
	NodeLocal bool `json:"nodeLocal,omitempty"`
	// Because says why it was chosen, or was not.
	Because string `json:"because"`
}

func (t *Trace) asked(o optIn) {
	if t == nil || !o.wanted {
		return
	}
	switch t.AskedBy = AskedByNamespace; {
	case o.optional:
		t.AskedBy = AskedOptionally
	case o.byPod:
		t.AskedBy = AskedByPod
	}
}

func (t *Trace) policy(p *Policy) {
	if t == nil {
		return
	}
	if t.OnError = p.onError; p.err != nil {
		return
	}
	t.Engine = EngineTrace{Namespace: p.engineNamespace}
	if p.discoverErr != nil {
		t.Engine.Problem = p.discoverErr.Error()
	}
}

func (t *Trace) chooser(named bool, by string) {
	if t != nil && named {
		t.ContainersBy = by
	}
}

func (t *Trace) container(c *container, reached bool, because string) {
	if t != nil {
		t.Containers = append(t.Containers, ContainerTrace{c.name, reached, because})
	}
}

// settle records the containers that stay as they are, or in part, because of their own settings, and those in which something is
// mounted elsewhere than at its usual path.
func (t *Trace) settle(s *Status) {
	if t == nil {
		return
	}
	for i := range t.Containers {
		c := &t.Containers[i]
		for _, left := range s.Left {
			if c.Reached && left.Name == c.Name {
				c.Reached, c.Because = slices.Contains(s.Containers, c.Name), left.Because
			}
		}
		for _, moved := range s.Moved {
			if c.Reached && moved.Name == c.Name {
				if c.Because != "" {
					c.Because += "; it "
				}
				c.Because += "has " + moved.Path + ", " + moved.Because
			}
		}
	}
}

func (t *Trace) cacheAffinity(c *CacheAffinityTrace) {
	if t != nil {
		t.CacheAffinity = c
	}
}

// transports records the verdict on every transport to an engine, and which of them was taken.
func (t *Trace) transports(c *choice, e *compiledEngine, taken *connection) {
	passed := false
	for _, o := range c.judge(e) {
		if o.transport == config.TransportSidecar && c.transport != config.TransportSidecar {
			continue // nobody asks for it
		}
		entry := TransportTrace{Transport: o.transport, Because: c.why(e, &o)}
		if o.connection != nil {
			entry.Engine, entry.NodeLocal = o.connection.host, o.connection.nodeLocal
		}
		switch {
		case o.verdict != offered:
		case !passed && taken != nil:
			entry.Taken, passed = true, true
		default:
			entry.Because = "not needed: " + string(taken.transport) + " comes before it"
		}
		t.Transports = append(t.Transports, entry)
	}
}

// why says a verdict in words.
func (c *choice) why(e *compiledEngine, o *offer) string {
	switch o.verdict {
	case notWanted:
		return "engine.transport is " + string(c.transport)
	case forbidden:
		return "hostPath volumes are forbidden by " + c.forbids
	case sandboxed:
		return c.sandbox(e)
	case unfitForSidecar:
		o := c.noSidecar(e)
		return cmp.Or(o.detail, o.reason.Sentence())
	case offered:
		if sandbox := c.sandbox(e); o.transport == config.TransportSocket && sandbox != "" {
			return "engine.transport names it, though " + sandbox
		}
		if c.transport == config.TransportAuto {
			return "the first that the engine offers and the namespace allows"
		}
		return "engine.transport names it"
	}
	if o.transport == config.TransportTCP && e.unsafe != "" {
		return "the Service " + e.unsafe
	}
	return "the policy names none, and none is read off an engine"
}
