package webhook

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// PolicyStore holds the compiled policies of every namespace. What it answers depends only on the ConfigMaps that are there
// now, not on the order in which they were seen, so that replicas agree. Reading takes no lock and no memory.
type PolicyStore struct {
	releaseNamespace string
	// live reads the policies of young namespaces; nil where there is no cluster to read them from.
	live *liveReader
	// onCluster is told of every change of what holds everywhere.
	onCluster func(*inject.Policies)

	// changing serializes the changes of documents and engines, which make a new state together.
	changing  sync.Mutex
	documents *config.Documents
	engines   engineState

	// own is what is known of the engines of all namespaces; nil where they are not read.
	own         *ownEngines
	ownPolicies ownPolicies

	cluster atomic.Pointer[clusterPolicies]
	shards  [256]shard
	seed    maphash.Seed
}

// clusterPolicies is one state of the cluster's policy and of the engines, and what it comes to in namespaces that have no
// policy of their own.
type clusterPolicies struct {
	engines  engineState
	policies *inject.Policies
}

// shard is a part of the namespaces that have a policy, by name. Its map is replaced, never changed.
type shard struct {
	writing    sync.Mutex
	namespaces atomic.Pointer[map[string]*namespacePolicies]
}

type namespacePolicies struct {
	documents *config.Documents
	compiling sync.Mutex
	compiled  atomic.Pointer[compiledPolicies]
}

// compiledPolicies remembers which state of the cluster's policy it was layered on.
type compiledPolicies struct {
	on       *clusterPolicies
	policies *inject.Policies
}

// NewPolicyStore returns a store in which the cluster's policy is missing, until it is seen.
func NewPolicyStore(releaseNamespace string) *PolicyStore {
	s := &PolicyStore{releaseNamespace: releaseNamespace, seed: maphash.MakeSeed(), onCluster: func(*inject.Policies) {}}
	for i := range s.shards {
		s.shards[i].namespaces.Store(&map[string]*namespacePolicies{})
	}
	s.changeCluster(func() bool { return true })
	return s
}

// lookup returns the policies that hold in a namespace. In a young one they may be newer than what was seen of ConfigMaps: where
// none was, its policy is read from the cluster.
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

// Policies returns the policies that hold in a namespace, as far as its ConfigMap was seen.
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
	if compiled := own.compiled.Load(); compiled.on == cluster {
		return compiled.policies
	}
	// The cluster's policy has just changed and this namespace's turn has not come yet.
	return own.compile(cluster)
}

// Has reports whether the namespace has a policy of its own.
func (s *PolicyStore) Has(namespace string) bool { return s.find(namespace) != nil }

// With returns what would hold in a namespace if it had these documents.
func (s *PolicyStore) With(namespace *config.Documents) *inject.Policies {
	return s.cluster.Load().policies.With(namespace)
}

func (s *PolicyStore) find(namespace string) *namespacePolicies {
	return (*s.shard(namespace).namespaces.Load())[namespace]
}

func (s *PolicyStore) shard(namespace string) *shard {
	return &s.shards[maphash.String(s.seed, namespace)%uint64(len(s.shards))]
}

// compile layers the namespace's policy on a state of the cluster's, once: whoever asks meanwhile waits for it.
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

// Set takes in a ConfigMap as it is now.
func (s *PolicyStore) Set(cm *corev1.ConfigMap) {
	if cm.Name != config.ConfigMapName {
		return
	}
	if cm.Namespace == s.releaseNamespace {
		s.setDocuments(config.FromConfigMap(cm, config.OriginCluster))
		return
	}
	own := &namespacePolicies{documents: config.FromConfigMap(cm, config.OriginNamespace)}
	if old := s.find(cm.Namespace); old != nil && old.documents.Equal(own.documents) {
		return // only its metadata has changed, or all ConfigMaps were listed anew
	}
	own.compile(s.cluster.Load())
	s.replace(cm.Namespace, own)
}

// setAll takes in all ConfigMaps that there are, the cluster's first, so that each namespace's is compiled once.
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
		if cm := obj.(*corev1.ConfigMap); cm.Namespace != s.releaseNamespace {
			s.Set(cm)
		}
		list[i] = nil // not needed again, while the others are taken in
	}
	for i := range s.shards {
		for namespace := range *s.shards[i].namespaces.Load() {
			if !there[namespace] {
				s.replace(namespace, nil)
			}
		}
	}
}

// Delete takes in that a ConfigMap is gone.
func (s *PolicyStore) Delete(cm *corev1.ConfigMap) {
	if cm.Name != config.ConfigMapName {
		return
	}
	if cm.Namespace == s.releaseNamespace {
		s.setDocuments(nil)
		return
	}
	s.replace(cm.Namespace, nil)
}

func (s *PolicyStore) replace(namespace string, own *namespacePolicies) {
	shard := s.shard(namespace)
	shard.writing.Lock()
	defer shard.writing.Unlock()
	old := *shard.namespaces.Load()
	changed := make(map[string]*namespacePolicies, len(old)+1)
	for name, policies := range old {
		changed[name] = policies
	}
	if changed[namespace] = own; own == nil {
		delete(changed, namespace)
	}
	shard.namespaces.Store(&changed)
}

// SetEngines takes in what is known of engines now.
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

// changeCluster changes what holds in all namespaces at once. Those with a policy of their own are compiled anew in the
// background; one that is asked for meanwhile is compiled then.
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
	for i := range s.shards {
		for _, own := range *s.shards[i].namespaces.Load() {
			if s.cluster.Load() != cluster {
				return // it has changed again, and that change does this again
			}
			if own.compiled.Load().on != cluster {
				own.compile(cluster)
			}
		}
	}
}
