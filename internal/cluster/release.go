package cluster

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// DefaultReleaseNamespace is the namespace that the chart is usually installed in.
const DefaultReleaseNamespace = "dagger-inject"

// ReleaseNamespace returns the namespace that the webhook runs in, as the API server finds it: the namespace of the Service
// that the webhook's entries lead to. It returns DefaultReleaseNamespace if the entries do not exist, cannot be read, or lead
// to no Service.
func ReleaseNamespace(ctx context.Context, r client.Reader) string {
	var list admissionregistrationv1.MutatingWebhookConfigurationList
	if r.List(ctx, &list) != nil {
		return DefaultReleaseNamespace
	}
	for _, configuration := range list.Items {
		for _, w := range configuration.Webhooks {
			if _, ours := registration.EntryNamed(w.Name); ours && w.ClientConfig.Service != nil {
				return w.ClientConfig.Service.Namespace
			}
		}
	}
	return DefaultReleaseNamespace
}
