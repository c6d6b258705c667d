package cluster

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

func TestReleaseNamespaceIsWhereTheEntriesLead(t *testing.T) {
	url := "https://localhost:8443"
	inService := func(namespace string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: namespace, Name: "x"}}
	}
	cases := map[string]struct {
		leads admissionregistrationv1.WebhookClientConfig
		entry string
		want  string
	}{
		"a Service":               {inService("platform"), registration.EntryNamePod, "platform"},
		"a URL":                   {admissionregistrationv1.WebhookClientConfig{URL: &url}, registration.EntryNamePod, "dagger-inject"},
		"somebody else's Service": {inService("istio-system"), "sidecar.istio.io", "dagger-inject"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(admissionregistrationv1.MutatingWebhookConfiguration{
				Webhooks: []admissionregistrationv1.MutatingWebhook{{Name: c.entry, ClientConfig: c.leads}},
			})
			require.NoError(t, err)
			var object unstructured.Unstructured
			require.NoError(t, json.Unmarshal(text, &object.Object))
			object.SetAPIVersion("admissionregistration.k8s.io/v1")
			object.SetKind("MutatingWebhookConfiguration")
			require.Equal(t, c.want, ReleaseNamespace(t.Context(), Objects{object}))
		})
	}
	require.Equal(t, "dagger-inject", ReleaseNamespace(t.Context(), Objects{}))
}
