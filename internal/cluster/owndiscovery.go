package cluster

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// OwnDiscoveryOff reports whether the webhook that is installed in a namespace looks for no engine in the pods' own namespaces:
// only its flags say so. It is false where the webhook's Deployment cannot be read, or is not there.
func OwnDiscoveryOff(ctx context.Context, r client.Reader, releaseNamespace string) bool {
	var deployments appsv1.DeploymentList
	selector := client.MatchingLabels{"app.kubernetes.io/name": "dagger-inject", "app.kubernetes.io/component": "webhook"}
	if r.List(ctx, &deployments, client.InNamespace(releaseNamespace), selector) != nil || len(deployments.Items) == 0 {
		return false
	}
	return !slices.ContainsFunc(deployments.Items, func(d appsv1.Deployment) bool {
		return slices.ContainsFunc(d.Spec.Template.Spec.Containers, func(c corev1.Container) bool {
			return slices.Contains(c.Args, "--discover-own-namespace") || slices.Contains(c.Args, "--discover-own-namespace=true")
		})
	})
}
