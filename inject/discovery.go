package inject

import (
	"errors"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// Engines returns what is known of the engines in a namespace; nil knows of none. The namespace is empty if the policy looks for
// engines in the pod's own.
type Engines func(namespace string, selector labels.Selector) (*engine.Found, error)

// ErrOwnNamespaceOff is the reason for no engine if a policy looks for one in the pod's own namespace, and the webhook does not read
// those.
var ErrOwnNamespaceOff = errors.New("engine.discover.ownNamespace: engines in the pod's own namespace are looked for only where the " +
	"chart's value " +
	"discover.ownNamespace is true (the webhook's flag --discover-own-namespace)")

func (e Engines) find(d *config.Discover) (*engine.Found, error) {
	namespace := lookIn(d)
	if e == nil || namespace == "" && !d.OwnNamespace {
		return nil, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(&d.Selector)
	if err != nil {
		return nil, err // validation has made the same selector
	}
	return e(namespace, selector)
}

// lookIn returns the namespace to look for the engine in, empty for the pod's own and for none.
func lookIn(d *config.Discover) string {
	if d.OwnNamespace {
		return ""
	}
	return d.Namespace
}

// LooksInOwnNamespace reports whether a policy looks for the engine in the pod's own namespace. Within then returns the
// policies of each namespace.
func (p *Policies) LooksInOwnNamespace() bool { return p.ownNamespace }

// Within returns the policies for the pods of one namespace, with the engines of that namespace.
func (p *Policies) Within(engines Engines) *Policies {
	if !p.ownNamespace {
		return p
	}
	return newPolicies(p.cluster, p.namespace, engines, p)
}

// EngineNamespaces returns the namespaces in which the policies look for engines, sorted.
func (p *Policies) EngineNamespaces() []string {
	return p.namespacesOf(func(*Policy) bool { return true })
}

// CacheAffinityNamespaces returns those of them for which Input.Ready matters, sorted: whose engines' pods have to be read.
func (p *Policies) CacheAffinityNamespaces() []string {
	return p.namespacesOf(func(policy *Policy) bool { return policy.cacheAffinity != nil })
}

func (p *Policies) namespacesOf(counts func(*Policy) bool) []string {
	var namespaces []string
	for _, name := range p.names() {
		if policy := p.profile(name); policy.err == nil && policy.engineNamespace != "" && counts(policy) {
			namespaces = append(namespaces, policy.engineNamespace)
		}
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}
