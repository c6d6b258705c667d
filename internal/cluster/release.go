package cluster

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// DefaultReleaseNamespace is where the chart is installed if not said otherwise.
const DefaultReleaseNamespace = "dagger-inject"

// ReleaseNamespace returns the namespace that the webhook runs in, as the API server finds it: that of the Service of the
// webhook's entries. It is DefaultReleaseNamespace where they lead to none, are not there, or cannot be read.
func ReleaseNamespace(ctx context.Context, r client.Reader) string {
	var list admissionregistrationv1.MutatingWebhookConfigurationList
	if r.List(ctx, &list) != nil {
		return DefaultReleaseNamespace
	}
	for _, configuration := range list.Items {
		for _, w := range configuration.Webhooks {
			if (w.Name == registration.EntryNamePod || w.Name == registration.EntryNameNamespace) && w.ClientConfig.Service != nil {
				return w.ClientConfig.Service.Namespace
			}
		}
	}
	return DefaultReleaseNamespace
}
