package check

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// lookup is the result of a policy's search for engines.
type lookup struct {
	namespace string
	found     *engine.Found
	err       error
}

// look finds engines for policies, and records the result. It skips the pods' own namespace: lookInOwnNamespaces looks there,
// once the namespaces are known.
func (c *checker) look(namespace string, selector labels.Selector) (*engine.Found, error) {
	if namespace == "" {
		return nil, nil
	}
	found, err := c.engines.Discover(namespace, selector)
	c.lookups[namespace+" "+selector.String()] = lookup{namespace, found, err}
	return found, err
}

// lookWithin is look for policies of pods in one namespace.
func (c *checker) lookWithin(own string) inject.Engines {
	return func(namespace string, selector labels.Selector) (*engine.Found, error) {
		if namespace == "" {
			namespace = own
		}
		return c.look(namespace, selector)
	}
}

// checkEngines reports each engine that policies look for, and its ready pods.
func (c *checker) checkEngines() {
	if c.policies == nil {
		return
	}
	own := c.policies.LooksInOwnNamespace()
	for _, policies := range c.refined {
		own = own || policies.LooksInOwnNamespace()
	}
	if own {
		c.lookInOwnNamespaces()
	} else if len(c.lookups) == 0 {
		c.ok("none to check: the policy names the engine")
	}
	for _, key := range slices.Sorted(maps.Keys(c.lookups)) {
		c.checkEngine(c.lookups[key])
	}
}

// lookInOwnNamespaces looks for engines in the namespaces whose pods use an engine of their own namespace.
func (c *checker) lookInOwnNamespaces() {
	if cluster.OwnDiscoveryOff(c.ctx, c.Reader, c.ReleaseNamespace) {
		c.add(Fail, "Set it, or name an engine in the policy.", "%v", inject.ErrOwnNamespaceOff)
		return
	}
	list, err := c.optedIn()
	if err != nil {
		c.unreadable("the namespaces in which policies look for engines", err)
		return
	}
	var names []string
	for _, ns := range list {
		names = append(names, ns.Name)
	}
	if c.Namespace != "" && len(names) == 0 {
		names = []string{c.Namespace} // its pods may ask by their own label
	}
	looked := 0
	for _, name := range names {
		policies := c.policies
		if refined, ok := c.refined[name]; ok {
			policies = refined
		}
		if !policies.LooksInOwnNamespace() {
			continue
		}
		if looked++; looked <= most {
			policies.Within(c.lookWithin(name))
		}
	}
	switch {
	case looked > most:
		c.ok("%d more namespaces use an engine of their own; -n checks one", looked-most)
	case looked == 0:
		c.ok("policies look in the pods' own namespaces, and no namespace is opted in; -n checks one")
	}
}

func (c *checker) checkEngine(l lookup) {
	switch {
	case c.engines.Err(l.namespace) != nil:
		c.unreadable("the engines of namespace "+l.namespace, c.engines.Err(l.namespace))
		return
	case l.err != nil:
		c.add(Warn, "Install the Dagger Helm chart there, or name an engine in the policy.", "%v", l.err)
		return
	}
	if l.found.Left > 0 {
		c.add(Warn, "Narrow them with engine.discover.selector.", "namespace %s has %d engines, of which the first %d are considered",
			l.namespace, len(l.found.Engines)+l.found.Left, len(l.found.Engines))
	}
	ready := false
	for i, e := range l.found.Engines {
		if i == most {
			c.ok("%d more engines in namespace %s: dagger-inject engine -n %s", len(l.found.Engines)-i, l.namespace, l.namespace)
			break
		}
		// While another engine is ready, no pod is without an engine.
		level := Fail
		if ready {
			level = Warn
		}
		ready = c.checkReady(e, level) || ready
	}
}

// checkReady adds a finding about an engine's pods, and reports whether any is ready. The level is that of the finding if none
// is.
func (c *checker) checkReady(e *engine.Discovered, level Level) bool {
	version := e.Version
	if version == "" {
		version = "of an unknown version (" + e.Image + ")"
	}
	if e.Draining {
		version += ", draining"
	}
	pods, err := c.engines.Pods(e.Workload.Namespace, e.Workload.String())
	if err != nil {
		c.unreadable("the pods of "+e.Workload.String(), err)
		return false
	}
	ready := len(slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return !cluster.IsReady(&p) }))
	if ready == 0 {
		c.add(level, "See kubectl describe pods in namespace "+e.Workload.Namespace+".",
			"%s %s: none of %s is ready", e.Workload, version, plural(len(pods), "pod"))
		return false
	}
	c.ok("%s %s: %d of %s ready", e.Workload, version, ready, plural(len(pods), "pod"))
	return true
}
