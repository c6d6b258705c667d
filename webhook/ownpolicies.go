package webhook

import (
	"sync"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// ownPolicies caches, by namespace, the policies that look for the engine there, compiled with the engines found. All belong
// to one state of the cluster's policy, so that a namespace without requests does not keep an older state in memory.
type ownPolicies struct {
	mu       sync.RWMutex
	cluster  *clusterPolicies
	compiled map[string]ownCompiled
}

// ownCompiled is an entry of the cache, with what its policies were compiled from.
type ownCompiled struct {
	on       *inject.Policies
	stamp    ownStamp
	policies *inject.Policies
}

// within returns policies for a namespace: if they look for the engine in the pod's own namespace, they are compiled with the
// engines of this one.
func (s *PolicyStore) within(namespace string, policies *inject.Policies) *inject.Policies {
	if s.ownEngines == nil || !policies.LooksInOwnNamespace() {
		return policies
	}
	cluster, stamp := s.cluster.Load(), s.ownEngines.stamp(namespace)
	s.ownPolicies.mu.RLock()
	of, have := s.ownPolicies.cluster, s.ownPolicies.compiled[namespace]
	s.ownPolicies.mu.RUnlock()
	if of == cluster && have.on == policies && have.stamp == stamp {
		return have.policies
	}
	have = ownCompiled{on: policies, stamp: stamp}
	have.policies = policies.Within(func(name string, selector labels.Selector) (*engine.Found, error) {
		if name == "" {
			return s.ownEngines.discover(namespace, selector)
		}
		return cluster.engines.Discover(name, selector)
	})
	s.ownPolicies.mu.Lock()
	defer s.ownPolicies.mu.Unlock()
	if s.cluster.Load() != cluster {
		return have.policies // the cluster's policy has changed meanwhile
	}
	if s.ownPolicies.cluster != cluster || len(s.ownPolicies.compiled) >= maxRemembered {
		s.ownPolicies.cluster, s.ownPolicies.compiled = cluster, map[string]ownCompiled{}
	}
	s.ownPolicies.compiled[namespace] = have
	return have.policies
}
