package cluster

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// OwnDiscoveryOff reports whether the flags of the installed webhook keep it from looking for engines in the pods' own
// namespaces. It returns false if the webhook's Deployment does not exist or cannot be read.
func OwnDiscoveryOff(ctx context.Context, r client.Reader, releaseNamespace string) bool {
	deployments, err := webhookDeployments(ctx, r, releaseNamespace)
	if err != nil || len(deployments) == 0 {
		return false
	}
	return !slices.ContainsFunc(deployments, func(d appsv1.Deployment) bool {
		return slices.ContainsFunc(d.Spec.Template.Spec.Containers, func(c corev1.Container) bool {
			return slices.Contains(c.Args, "--discover-own-namespace") || slices.Contains(c.Args, "--discover-own-namespace=true")
		})
	})
}

func webhookDeployments(ctx context.Context, r client.Reader, releaseNamespace string) ([]appsv1.Deployment, error) {
	var deployments appsv1.DeploymentList
	selector := client.MatchingLabels{"app.kubernetes.io/name": "dagger-inject", "app.kubernetes.io/component": "webhook"}
	err := r.List(ctx, &deployments, client.InNamespace(releaseNamespace), selector)
	return deployments.Items, err
}
