package explain

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// discover finds an engine as the webhook that is installed does.
func (j *job) discover(namespace string, selector labels.Selector) (*engine.Discovered, error) {
	if namespace == "" && j.ownDiscoveryOff() {
		return nil, webhook.ErrOwnNamespaceOff
	}
	return j.engines.Discover(namespace, selector)
}

// ownDiscoveryOff reports whether the webhook that is installed looks for no engine in the pods' own namespaces: only its flags
// say so.
func (j *job) ownDiscoveryOff() bool {
	var deployments appsv1.DeploymentList
	selector := client.MatchingLabels{"app.kubernetes.io/name": "dagger-inject", "app.kubernetes.io/component": "webhook"}
	if j.Reader.List(j.ctx, &deployments, client.InNamespace(j.ReleaseNamespace), selector) != nil || len(deployments.Items) == 0 {
		return false
	}
	return !slices.ContainsFunc(deployments.Items, func(d appsv1.Deployment) bool {
		return slices.ContainsFunc(d.Spec.Template.Spec.Containers, func(c corev1.Container) bool {
			return slices.Contains(c.Args, "--discover-own-namespace") || slices.Contains(c.Args, "--discover-own-namespace=true")
		})
	})
}
