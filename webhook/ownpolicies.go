package webhook

import (
	"sync"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// ownPolicies keeps, by namespace, the policies that look for the engine there, compiled with what was found. All are of one
// state of the cluster's policy: a namespace that nobody asks about any more must not keep an older one in memory.
type ownPolicies struct {
	mu       sync.RWMutex
	cluster  *clusterPolicies
	compiled map[string]ownCompiled
}

// ownCompiled remembers what the policies were compiled from.
type ownCompiled struct {
	on       *inject.Policies
	stamp    ownStamp
	policies *inject.Policies
}

// within returns the policies as they hold in a namespace, where they look for the engine in the pod's own.
func (s *PolicyStore) within(namespace string, policies *inject.Policies) *inject.Policies {
	if s.own == nil || !policies.LooksInOwnNamespace() {
		return policies
	}
	cluster, stamp := s.cluster.Load(), s.own.stamp(namespace)
	s.ownPolicies.mu.RLock()
	of, have := s.ownPolicies.cluster, s.ownPolicies.compiled[namespace]
	s.ownPolicies.mu.RUnlock()
	if of == cluster && have.on == policies && have.stamp == stamp {
		return have.policies
	}
	have = ownCompiled{on: policies, stamp: stamp}
	have.policies = policies.Within(func(name string, selector labels.Selector) (*engine.Found, error) {
		if name == "" {
			return s.own.discover(namespace, selector)
		}
		return cluster.engines.Discover(name, selector)
	})
	s.ownPolicies.mu.Lock()
	defer s.ownPolicies.mu.Unlock()
	if s.cluster.Load() != cluster {
		return have.policies // it has changed meanwhile
	}
	if s.ownPolicies.cluster != cluster || len(s.ownPolicies.compiled) >= maxRemembered {
		s.ownPolicies.cluster, s.ownPolicies.compiled = cluster, map[string]ownCompiled{}
	}
	s.ownPolicies.compiled[namespace] = have
	return have.policies
}
