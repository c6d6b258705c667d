package webhook

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// PolicyStore holds the compiled policies of every namespace. Its answers depend only on the current ConfigMaps, not on the
// order of their changes, so that replicas agree. Reading what is compiled neither locks nor allocates.
type PolicyStore struct {
	releaseNamespace string
	// live reads the policies of young namespaces; nil if there is no cluster to read them from.
	live *liveReader
	// onCluster is called with the cluster's policies after every change of them.
	onCluster func(*inject.Policies)

	// changing guards documents and engines, which together make up a new state.
	changing  sync.Mutex
	documents *config.Documents
	engines   engineState

	// ownEngines reads the engines of all namespaces; nil if they are not read.
	ownEngines  *ownEngines
	ownPolicies ownPolicies

	cluster atomic.Pointer[clusterPolicies]
	// own has the *namespacePolicies of each namespace that has a policy, by its name.
	own sync.Map
}

// clusterPolicies is one state of the cluster's policy and of the engines, compiled for namespaces without a policy of their
// own.
type clusterPolicies struct {
	engines  engineState
	policies *inject.Policies
}

type namespacePolicies struct {
	documents *config.Documents
	compiling sync.Mutex
	compiled  atomic.Pointer[compiledPolicies]
}

// compiledPolicies are a namespace's policies, layered on one state of the cluster's.
type compiledPolicies struct {
	on       *clusterPolicies
	policies *inject.Policies
}

// NewPolicyStore returns a store without a policy of the cluster, until Set adds it.
func NewPolicyStore(releaseNamespace string) *PolicyStore {
	s := &PolicyStore{releaseNamespace: releaseNamespace, onCluster: func(*inject.Policies) {}}
	s.changeCluster(func() bool { return true })
	return s
}

// lookup returns the policies that hold in a namespace. The store may not have the policy of a young namespace yet: if it has
// none, lookup reads it from the cluster.
func (s *PolicyStore) lookup(ctx context.Context, namespace string, young bool) (*inject.Policies, error) {
	if !young || s.live == nil || s.Has(namespace) || namespace == s.releaseNamespace {
		return s.Policies(namespace), nil
	}
	var cm corev1.ConfigMap
	seen := false
	err := s.live.read(ctx, types.NamespacedName{Namespace: namespace, Name: config.ConfigMapName}, &cm, func() bool {
		seen = s.Has(namespace)
		return seen
	})
	switch {
	case seen || apierrors.IsNotFound(err):
		return s.Policies(namespace), nil
	case err != nil:
		return nil, fmt.Errorf("reading the policy of %s: %w", namespace, err)
	}
	return s.within(namespace, s.With(config.FromConfigMap(&cm, config.OriginNamespace))), nil
}

// Policies returns the policies that hold in a namespace, by the ConfigMaps that the store has.
func (s *PolicyStore) Policies(namespace string) *inject.Policies {
	return s.within(namespace, s.layered(namespace))
}

// layered returns the cluster's policies with the namespace's over them.
func (s *PolicyStore) layered(namespace string) *inject.Policies {
	cluster := s.cluster.Load()
	own := s.find(namespace)
	if own == nil {
		return cluster.policies
	}
	if compiled := own.compiled.Load(); compiled != nil && compiled.on == cluster {
		return compiled.policies
	}
	// The webhook has just started, or the cluster's policy has just changed, and this namespace's turn has not come yet.
	return own.compile(cluster)
}

// Has reports whether the namespace has a policy of its own.
func (s *PolicyStore) Has(namespace string) bool { return s.find(namespace) != nil }

// With returns the policies that would hold in a namespace with these documents.
func (s *PolicyStore) With(namespace *config.Documents) *inject.Policies {
	return s.cluster.Load().policies.With(namespace)
}

func (s *PolicyStore) find(namespace string) *namespacePolicies {
	own, ok := s.own.Load(namespace)
	if !ok {
		return nil
	}
	return own.(*namespacePolicies)
}

// each returns the namespaces that have a policy.
func (s *PolicyStore) each() iter.Seq2[string, *namespacePolicies] {
	return func(yield func(string, *namespacePolicies) bool) {
		s.own.Range(func(name, own any) bool { return yield(name.(string), own.(*namespacePolicies)) })
	}
}

// compile layers the namespace's policy on a state of the cluster's, once: concurrent callers wait for the result.
func (n *namespacePolicies) compile(cluster *clusterPolicies) *inject.Policies {
	n.compiling.Lock()
	defer n.compiling.Unlock()
	if compiled := n.compiled.Load(); compiled != nil && compiled.on == cluster {
		return compiled.policies
	}
	policies := cluster.policies.With(n.documents)
	n.compiled.Store(&compiledPolicies{on: cluster, policies: policies})
	return policies
}

// Set adds or updates a ConfigMap.
func (s *PolicyStore) Set(cm *corev1.ConfigMap) {
	if cm.Name != config.ConfigMapName {
		return
	}
	if cm.Namespace == s.releaseNamespace {
		s.setDocuments(config.FromConfigMap(cm, config.OriginCluster))
		return
	}
	if own := s.store(cm); own != nil {
		own.compile(s.cluster.Load())
	}
}

// setAll replaces all ConfigMaps. The policies of namespaces are compiled in the background: those of 10,000 take seconds, in which a
// request compiles its own.
func (s *PolicyStore) setAll(list []any) {
	there := make(map[string]bool, len(list))
	for _, obj := range list {
		if cm := obj.(*corev1.ConfigMap); cm.Name == config.ConfigMapName {
			if there[cm.Namespace] = true; cm.Namespace == s.releaseNamespace {
				s.Set(cm)
			}
		}
	}
	if !there[s.releaseNamespace] {
		s.setDocuments(nil)
	}
	for i, obj := range list {
		if cm := obj.(*corev1.ConfigMap); cm.Name == config.ConfigMapName && cm.Namespace != s.releaseNamespace {
			s.store(cm)
		}
		list[i] = nil // free its memory
	}
	for namespace := range s.each() {
		if !there[namespace] {
			s.own.Delete(namespace)
		}
	}
	go s.recompile(s.cluster.Load())
}

// store keeps what a namespace's ConfigMap says, not compiled yet. It returns nil if the store has it already.
func (s *PolicyStore) store(cm *corev1.ConfigMap) *namespacePolicies {
	own := &namespacePolicies{documents: config.FromConfigMap(cm, config.OriginNamespace)}
	if old := s.find(cm.Namespace); old != nil && old.documents.Equal(own.documents) {
		return nil // only its metadata has changed, or all ConfigMaps were listed again
	}
	s.own.Store(cm.Namespace, own)
	return own
}

// Delete removes a ConfigMap.
func (s *PolicyStore) Delete(cm *corev1.ConfigMap) {
	if cm.Name != config.ConfigMapName {
		return
	}
	if cm.Namespace == s.releaseNamespace {
		s.setDocuments(nil)
		return
	}
	s.own.Delete(cm.Namespace)
}

// SetEngines replaces what is known about engines.
func (s *PolicyStore) SetEngines(engines engineState) {
	s.changeCluster(func() bool {
		s.engines = engines
		return true
	})
}

func (s *PolicyStore) setDocuments(documents *config.Documents) {
	s.changeCluster(func() bool {
		changed := !documents.Equal(s.documents)
		s.documents = documents
		return changed
	})
}

// changeCluster applies a change of what holds in all namespaces. It recompiles the policies of namespaces in the background;
// a request that needs one earlier compiles it.
func (s *PolicyStore) changeCluster(change func() (changed bool)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if !change() {
		return
	}
	cluster := &clusterPolicies{engines: s.engines}
	cluster.policies = inject.NewPolicies(s.documents, nil, s.engines.Discover)
	s.cluster.Store(cluster)
	s.onCluster(cluster.policies)
	go s.recompile(cluster)
}

func (s *PolicyStore) recompile(cluster *clusterPolicies) {
	for _, own := range s.each() {
		if s.cluster.Load() != cluster {
			return // it has changed again, and that change recompiles them
		}
		if compiled := own.compiled.Load(); compiled == nil || compiled.on != cluster {
			own.compile(cluster)
		}
	}
}
