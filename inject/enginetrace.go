package inject

import (
	"fmt"

	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// EngineTrace is what was known of an engine in the cluster.
type EngineTrace struct {
	// Namespace is where the policy looks for one, empty for nowhere.
	Namespace string `json:"namespace,omitempty"`
	// Workload is the one that was found, as Kind namespace/name; empty for none.
	Workload string `json:"workload,omitempty"`
	// Problem is why none was found.
	Problem string `json:"problem,omitempty"`
}

// EngineChoice is an engine that the pod could be given, and whether it is.
type EngineChoice struct {
	// Workload is the engine's, as Kind namespace/name.
	Workload string `json:"workload"`
	// Version is the engine's version, empty where it is not known.
	Version string `json:"version,omitempty"`
	Taken   bool   `json:"taken"`
	// Because is why it was taken, or was not.
	Because string `json:"because"`
}

// engines records the choice of an engine and of the way to it. The connection is nil where the pod cannot have one.
func (t *Trace) engines(c *choice, taken *compiledEngine, connection *connection) {
	if t == nil {
		return
	}
	all := c.engines
	if taken != nil {
		t.Engine.Workload = taken.workload
		t.transports(c, taken, connection)
	}
	if len(all) == 1 && taken != nil {
		return
	}
	for _, e := range all {
		one := EngineChoice{Workload: e.workload, Version: e.Version}
		if obstacle := c.against(e); obstacle != "" {
			one.Because = obstacle
		} else if one.Taken = e == taken; one.Taken {
			one.Because = c.inFavour(e)
		} else {
			one.Because = c.behind(e, taken)
		}
		t.Engines = append(t.Engines, one)
	}
}

// against says which of the first three rules keeps the pod from an engine, empty for none.
func (c *choice) against(e *compiledEngine) string {
	connection := c.connect(e)
	switch {
	case !c.wanted.Matches(&e.Identity):
		return fmt.Sprintf("%s asks for %.60s", c.asker(), c.wanted)
	case c.held == e:
		return ""
	case !c.asksFor(e):
		return "it is draining, and is not asked for by name or whole version"
	case connection == nil:
		return c.refusal(e).detail
	case c.canGoTo(e, connection):
		return ""
	}
	return e.nodes.contradiction(c.pod, c.stop).detail
}

// inFavour says why an engine was taken.
func (c *choice) inFavour(e *compiledEngine) string {
	if e == c.held {
		return "the pod is connected to it already"
	}
	because := map[engine.Readiness]string{
		engine.HalfReady: "the newest that has half of its replicas ready, or more", engine.SomeReady: "the newest that has a replica ready",
		engine.NoneReady: "the newest, as none is known to have a replica ready",
	}[e.Rollout.Readiness()]
	if !c.wanted.IsAny() {
		because += ", among those that " + c.asker() + " asks for"
	}
	return because + counts(e)
}

// behind says why another engine was taken, where this one would do.
func (c *choice) behind(e, taken *compiledEngine) string {
	switch {
	case taken == c.held:
		return "the pod is connected to another already"
	case e.Rollout.Readiness() == engine.NoneReady && taken.Rollout.Readiness() > engine.NoneReady:
		return "none of its replicas is known to be ready" + counts(e)
	case e.Rollout.Readiness() < taken.Rollout.Readiness():
		return "less than half of its replicas are ready" + counts(e)
	case engine.CompareVersions(e.Version, taken.Version) < 0:
		return "it is older than " + taken.Version
	case engine.Compare(&e.Identity, &taken.Identity) < 0:
		return "the pod tolerates the taints of " + taken.workload
	}
	return "its name comes after that of " + taken.workload
}

func counts(e *compiledEngine) string {
	if e.Rollout == nil {
		return ""
	}
	return fmt.Sprintf(" (%d of %d)", e.Rollout.Ready, e.Rollout.Wanted)
}
