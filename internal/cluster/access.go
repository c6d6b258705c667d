//go:build !js

package cluster

import (
	"cmp"
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// WebhookMayReadPods asks the API server whether the webhook's service account may list and watch the pods of a namespace. It takes the
// right to create SubjectAccessReviews.
func WebhookMayReadPods(ctx context.Context, c client.Client, releaseNamespace, namespace string) (bool, error) {
	deployments, err := webhookDeployments(ctx, c, releaseNamespace)
	if err != nil {
		return false, err
	}
	if len(deployments) == 0 {
		return false, fmt.Errorf("the webhook's Deployment is not in namespace %s", releaseNamespace)
	}
	account := cmp.Or(deployments[0].Spec.Template.Spec.ServiceAccountName, "default")
	for _, verb := range []string{"list", "watch"} {
		review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + releaseNamespace + ":" + account,
			Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + releaseNamespace, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: "pods"},
		}}
		if err := c.Create(ctx, &review); err != nil {
			return false, err
		}
		if !review.Status.Allowed {
			return false, nil
		}
	}
	return true, nil
}
