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

	"github.com/dagger-inject/dagger-inject/inject"
)

// Static is a Source without a cluster: every namespace has the same labels, annotations and policies.
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
	// young is the age up to which a namespace may have a policy that the cache does not have yet.
	young = 30 * time.Second
)

// namespaceType is the type that namespaces are read as: their metadata only.
func namespaceType() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace"},
	}
}

// policySource returns the policies that hold in a namespace. A young namespace may have a policy that no cache has yet.
type policySource interface {
	lookup(ctx context.Context, namespace string, young bool) (*inject.Policies, error)
}

// fixedPolicies are policies that are not in ConfigMaps.
type fixedPolicies func(namespace string) *inject.Policies

func (f fixedPolicies) lookup(_ context.Context, namespace string, _ bool) (*inject.Policies, error) {
	return f(namespace), nil
}

// clusterSource answers from caches. It reads live, within limits of time and rate, only what may have been created just
// before the pod: a namespace that the cache does not have, and the policy of a young namespace. The two have separate rate
// limits, since any client of the Service can name namespaces that do not exist, and must not use up the reads that young
// namespaces need.
type clusterSource struct {
	cache    client.Reader
	unknown  *liveReader
	policies policySource
	now      func() time.Time
}

func newClusterSource(cache, live client.Reader, policies policySource) *clusterSource {
	return &clusterSource{cache: cache, unknown: newLiveReader(live), policies: policies, now: time.Now}
}

// Lookup returns the facts about a namespace, and the policies that hold in it. The maps belong to the cache and must not be
// modified.
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
	policies, err := c.policies.lookup(ctx, name, c.now().Sub(ns.CreationTimestamp.Time) <= young)
	return facts, policies, err
}

// readUnknown reads a namespace that the cache does not have. While the rate limit allows no read, it looks into the cache
// again: the API server knows the namespace of every pod that it asks about, so the cache will soon have it.
func (c *clusterSource) readUnknown(ctx context.Context, key types.NamespacedName, into client.Object) error {
	if problems := validation.IsDNS1123Label(key.Name); len(problems) > 0 {
		return badRequest(http.StatusBadRequest, "%.63q is not the name of a namespace: %s", key.Name, problems[0])
	}
	return c.unknown.read(ctx, key, into, func() bool { return c.cache.Get(ctx, key, into) == nil })
}
