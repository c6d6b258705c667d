package explain

import (
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// discover finds engines as the webhook that is installed does.
func (j *job) discover(namespace string, selector labels.Selector) (*engine.Found, error) {
	if namespace == "" && cluster.OwnDiscoveryOff(j.ctx, j.Reader, j.ReleaseNamespace) {
		return nil, inject.ErrOwnNamespaceOff
	}
	return j.engines.Discover(namespace, selector)
}
