package webhook

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"golang.org/x/time/rate"

	"github.com/dagger-inject/dagger-inject/inject"
)

// StaticNamespaces knows every namespace by the same labels and annotations. It serves where there is no cluster.
type StaticNamespaces struct {
	Labels, Annotations map[string]string
}

// Namespace returns the labels and annotations under the given name.
func (s StaticNamespaces) Namespace(_ context.Context, name string) (inject.Namespace, error) {
	return inject.Namespace{Name: name, Labels: s.Labels, Annotations: s.Annotations}, nil
}

const (
	// liveTimeout bounds the read of a namespace, well inside the webhook's own time-out.
	liveTimeout = time.Second
	// liveRate is how many such reads are made a second, by all requests together.
	liveRate  = 20
	liveBurst = 40
)

// namespaceType is what is read of a namespace: its metadata only.
func namespaceType() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Namespace"},
	}
}

// clusterNamespaces reads namespaces from a cache. One that was created in the same breath as the pod is not there yet: it
// is read live, once, with a bound on time and on the rate of all such reads.
type clusterNamespaces struct {
	cache, live client.Reader
	limit       *rate.Limiter
}

func newClusterNamespaces(cache, live client.Reader) *clusterNamespaces {
	return &clusterNamespaces{cache: cache, live: live, limit: rate.NewLimiter(liveRate, liveBurst)}
}

// Namespace returns the namespace's labels and annotations. The maps are the cache's own and must not be written.
func (c *clusterNamespaces) Namespace(ctx context.Context, name string) (inject.Namespace, error) {
	// The cache's read blocks until the cache is filled.
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	ns, key := namespaceType(), types.NamespacedName{Name: name}
	err := c.cache.Get(ctx, key, ns)
	if apierrors.IsNotFound(err) {
		if !c.limit.Allow() {
			return inject.Namespace{}, errors.New("not in the cache, and too many live reads already")
		}
		err = c.live.Get(ctx, key, ns)
	}
	if err != nil {
		return inject.Namespace{}, err
	}
	return inject.Namespace{Name: name, Labels: ns.Labels, Annotations: ns.Annotations}, nil
}
