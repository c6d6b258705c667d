package webhook

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
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
	// young is how long after its creation a namespace may have a policy that the cache does not show yet.
	young = 30 * time.Second
)

// namespaceType is what is read of a namespace: its metadata only.
func namespaceType() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace"},
	}
}

// clusterSource answers from caches. Only what may have been created in the same breath as the pod is read live, with a
// bound on the time and on the rate of such reads: a namespace that the cache does not have, and the policy of one that
// is young and has none in the store. The two have budgets of their own: anybody who can post to the Service can name
// namespaces that do not exist, and must not use up what young ones need.
type clusterSource struct {
	cache    client.Reader
	policies func(namespace string) *inject.Policies
	store    *PolicyStore // nil where policies are not in ConfigMaps
	now      func() time.Time

	unknown, youngPolicies *liveReader
}

func newClusterSource(cache, live client.Reader, policies func(string) *inject.Policies, store *PolicyStore) *clusterSource {
	c := &clusterSource{cache: cache, policies: policies, store: store, now: time.Now}
	now := func() time.Time { return c.now() }
	c.unknown, c.youngPolicies = newLiveReader(live, now), newLiveReader(live, now)
	return c
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
		err = c.readUnknown(ctx, key, ns)
	}
	if err != nil {
		return inject.Namespace{}, nil, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	facts := inject.Namespace{Name: name, Labels: ns.Labels, Annotations: ns.Annotations}
	if facts.Limits, err = containerLimits(ctx, c.cache, name); err != nil {
		return facts, nil, fmt.Errorf("reading the LimitRanges of %s: %w", name, err)
	}
	if c.store == nil || c.now().Sub(ns.CreationTimestamp.Time) > young || c.store.Has(name) || name == c.store.releaseNamespace {
		return facts, c.policies(name), nil
	}
	policies, err := c.readPolicy(ctx, name)
	return facts, policies, err
}

// readUnknown reads a namespace that the cache does not have. While there is no budget for it, it looks into the cache again: the
// API server has seen the namespace of every pod that it asks about, and the cache is soon to.
func (c *clusterSource) readUnknown(ctx context.Context, key types.NamespacedName, into client.Object) error {
	if problems := validation.IsDNS1123Label(key.Name); len(problems) > 0 {
		return badRequest(http.StatusBadRequest, "%.63q is not the name of a namespace: %s", key.Name, problems[0])
	}
	return c.unknown.read(ctx, key, into, func() bool { return c.cache.Get(ctx, key, into) == nil })
}

// readPolicy reads the policy of a young namespace.
func (c *clusterSource) readPolicy(ctx context.Context, namespace string) (*inject.Policies, error) {
	var cm corev1.ConfigMap
	key := types.NamespacedName{Namespace: namespace, Name: config.ConfigMapName}
	seen := false
	err := c.youngPolicies.read(ctx, key, &cm, func() bool {
		seen = c.store.Has(namespace)
		return seen
	})
	switch {
	case seen || apierrors.IsNotFound(err):
		return c.policies(namespace), nil
	case err != nil:
		return nil, fmt.Errorf("reading the policy of %s: %w", namespace, err)
	}
	return c.store.within(namespace, c.store.With(config.FromConfigMap(&cm, config.OriginNamespace))), nil
}
