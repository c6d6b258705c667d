package webhook

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// Static knows every namespace by the same facts and policies. It serves where there is no cluster.
type Static struct {
	Labels, Annotations map[string]string
	Policies            *inject.Policies
}

// Lookup returns the facts under the given name, and the policies.
func (s Static) Lookup(_ context.Context, name string) (inject.Namespace, *inject.Policies, error) {
	return inject.Namespace{Name: name, Labels: s.Labels, Annotations: s.Annotations}, s.Policies, nil
}

const (
	// liveTimeout bounds all reading for one request, well inside the webhook's own time-out.
	liveTimeout = time.Second
	// liveRate is how many reads are made of the API server a second, by all requests together.
	liveRate  = 50
	liveBurst = 100
	// young is how long after its creation a namespace may have a policy that the cache does not show yet.
	young = 30 * time.Second
	// missTTL is how long it is remembered that a young namespace has no policy.
	missTTL = time.Second
)

// namespaceType is what is read of a namespace: its metadata only.
func namespaceType() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace"},
	}
}

// clusterSource answers from caches. Only what may have been created in the same breath as the pod is read live, with a
// bound on the time and on the rate of all such reads: a namespace that the cache does not have, and the policy of one that
// is young and has none in the store.
type clusterSource struct {
	cache, live client.Reader
	policies    func(namespace string) *inject.Policies
	store       *PolicyStore // nil where policies are not in ConfigMaps
	limit       *rate.Limiter
	reads       singleflight.Group // one live read at a time for what many pods ask for at once
	now         func() time.Time

	mu     sync.Mutex
	misses map[string]time.Time
}

func newClusterSource(cache, live client.Reader, policies func(string) *inject.Policies, store *PolicyStore) *clusterSource {
	return &clusterSource{
		cache: cache, live: live, policies: policies, store: store,
		limit: rate.NewLimiter(liveRate, liveBurst), now: time.Now, misses: map[string]time.Time{},
	}
}

// Lookup returns what is known of a namespace, and the policies that hold in it. Maps are the cache's own and must not be
// written.
func (c *clusterSource) Lookup(ctx context.Context, name string) (inject.Namespace, *inject.Policies, error) {
	// The cache's reads block until the cache is filled.
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	ns, key := namespaceType(), types.NamespacedName{Name: name}
	err := c.cache.Get(ctx, key, ns)
	if apierrors.IsNotFound(err) {
		err = c.readLive(ctx, key, ns)
	}
	if err != nil {
		return inject.Namespace{}, nil, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	facts := inject.Namespace{Name: name, Labels: ns.Labels, Annotations: ns.Annotations}
	if facts.Limits, err = containerLimits(ctx, c.cache, name); err != nil {
		return facts, nil, fmt.Errorf("reading the LimitRanges of %s: %w", name, err)
	}
	if c.store == nil || c.now().Sub(ns.CreationTimestamp.Time) > young || c.store.Has(name) || name == c.store.releaseNamespace || c.missed(name) {
		return facts, c.policies(name), nil
	}
	policies, err := c.readPolicy(ctx, name)
	return facts, policies, err
}

// readLive reads one object. The burst of pods that a controller creates in a new namespace shares the read.
func (c *clusterSource) readLive(ctx context.Context, key types.NamespacedName, into client.Object) error {
	type answer struct {
		object client.Object
		err    error
	}
	result, err, _ := c.reads.Do(fmt.Sprintf("%T %s", into, key), func() (any, error) {
		// Not the first asker's context alone: others wait for the same answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), liveTimeout)
		defer cancel()
		if err := c.limit.Wait(ctx); err != nil {
			return nil, errors.New("not in the cache, and too many live reads already")
		}
		object := into.DeepCopyObject().(client.Object)
		return answer{object, c.live.Get(ctx, key, object)}, nil
	})
	if err != nil {
		return err
	}
	got := result.(answer)
	if got.err == nil {
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(got.object).Elem())
	}
	return got.err
}

// readPolicy reads the policy of a young namespace.
func (c *clusterSource) readPolicy(ctx context.Context, namespace string) (*inject.Policies, error) {
	var cm corev1.ConfigMap
	err := c.readLive(ctx, types.NamespacedName{Namespace: namespace, Name: config.ConfigMapName}, &cm)
	switch {
	case apierrors.IsNotFound(err):
		c.remember(namespace)
		return c.policies(namespace), nil
	case err != nil:
		return nil, fmt.Errorf("reading the policy of %s: %w", namespace, err)
	}
	return c.store.within(namespace, c.store.With(config.FromConfigMap(&cm, config.OriginNamespace))), nil
}

// missed reports whether it is known that the young namespace has no policy.
func (c *clusterSource) missed(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.misses[namespace]
	return ok && c.now().Sub(at) < missTTL
}

func (c *clusterSource) remember(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for name, at := range c.misses {
		if now.Sub(at) >= missTTL {
			delete(c.misses, name)
		}
	}
	c.misses[namespace] = now
}
