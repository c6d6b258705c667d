package check

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// webhooks says how the API server reaches the webhook, by the webhook configurations.
type webhooks struct {
	clients []admissionregistrationv1.WebhookClientConfig
	// service is the Service that they lead to; nil if they lead to a URL or nowhere.
	service *admissionregistrationv1.ServiceReference
	pods    []corev1.Pod
	// noneReady is true if it is known that no pod is ready.
	noneReady bool
}

// install is the remedy if an object of the chart is missing or wrong.
const install = "Install or upgrade the chart dagger-inject."

// checkWebhooks looks for the webhook's entries in every configuration, and checks where they lead.
func (c *checker) checkWebhooks() {
	var mutating admissionregistrationv1.MutatingWebhookConfigurationList
	var validating admissionregistrationv1.ValidatingWebhookConfigurationList
	if err := c.Reader.List(c.ctx, &mutating); err != nil {
		c.unreadable("MutatingWebhookConfigurations", err)
	} else {
		found := map[string]bool{}
		for _, configuration := range mutating.Items {
			for _, w := range configuration.Webhooks {
				if entry, ours := registration.EntryNamed(w.Name); ours {
					c.entry(configuration.Name, w.Name, entry.Path, w.ClientConfig)
					found[w.Name] = true
				}
			}
		}
		for _, entry := range registration.Entries {
			if !found[entry.Name] {
				c.add(Fail, install, "no MutatingWebhookConfiguration has the entry %s", entry.Name)
			}
		}
	}
	if err := c.Reader.List(c.ctx, &validating); err != nil {
		c.unreadable("ValidatingWebhookConfigurations", err)
		return
	}
	found := false
	for _, configuration := range validating.Items {
		for _, w := range configuration.Webhooks {
			if w.Name == registration.ValidatingConfiguration(noClient).Webhooks[0].Name {
				c.entry(configuration.Name, w.Name, registration.PathValidate, w.ClientConfig)
				found = true
			}
		}
	}
	if !found {
		c.add(Warn, install, "policies are not validated when they are written: no ValidatingWebhookConfiguration has the webhook's entry")
	}
}

func noClient(string) (c admissionregistrationv1.WebhookClientConfig) { return c }

// entry checks where an entry leads.
func (c *checker) entry(configuration, name, path string, client admissionregistrationv1.WebhookClientConfig) {
	c.clients = append(c.clients, client)
	where, got := "", ""
	switch s := client.Service; {
	case s != nil:
		c.service = cmp.Or(c.service, s)
		where = "Service " + s.Namespace + "/" + s.Name
		if s.Path != nil {
			got = *s.Path
		}
		if s.Namespace != c.ReleaseNamespace {
			c.add(Warn, "Give --release-namespace "+s.Namespace+", or correct the configuration "+configuration+".",
				"%s leads to %s, but the release's namespace is %s here", name, where, c.ReleaseNamespace)
			return
		}
	case client.URL != nil:
		where = *client.URL
		if u, err := url.Parse(*client.URL); err == nil {
			got = u.Path
		}
	}
	switch {
	case got != path:
		c.add(Fail, install, "%s leads to the path %q of %s, and is served at %s", name, got, where, path)
	case len(client.CABundle) == 0:
		c.add(Fail, "See whether cert-manager's cainjector runs, or set the chart's CA bundle.",
			"%s has no caBundle, so that the API server trusts no certificate of ours", name)
	default:
		c.ok("%s leads to %s", name, where)
	}
}

// checkReplicas counts the pods behind the Service.
func (c *checker) checkReplicas() {
	if c.service == nil {
		if len(c.clients) > 0 {
			c.ok("not checked: the API server reaches the webhook by a URL")
		}
		return
	}
	where := "Service " + c.service.Namespace + "/" + c.service.Name
	var service corev1.Service
	err := c.Reader.Get(c.ctx, client.ObjectKey{Namespace: c.service.Namespace, Name: c.service.Name}, &service)
	if apierrors.IsNotFound(err) {
		c.add(Fail, install, "there is no %s", where)
		return
	}
	var list corev1.PodList
	if err == nil {
		err = c.Reader.List(c.ctx, &list, client.InNamespace(service.Namespace), client.MatchingLabels(service.Spec.Selector))
	}
	if err != nil {
		c.unreadable("the pods of "+where, err)
		return
	}
	c.pods = slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	ready := 0
	for i := range c.pods {
		if cluster.IsReady(&c.pods[i]) {
			ready++
		}
	}
	text := fmt.Sprintf("%d of %s behind %s ready", ready, plural(len(c.pods), "replica"), where)
	see := fmt.Sprintf("See kubectl describe pods and logs in namespace %s.", service.Namespace)
	c.noneReady = ready == 0
	switch {
	case len(c.pods) == 0:
		see := "See kubectl describe deployments,replicasets in namespace %s: it is scaled to 0, or its pods cannot be created."
		c.add(Fail, fmt.Sprintf(see, service.Namespace), "%s", text)
	case ready == 0:
		c.add(Fail, see, "%s", text)
	case ready < len(c.pods):
		c.add(Warn, see, "%s", text)
	case ready == 1:
		c.add(Warn, "Set replicas to 2 or more: while the one moves, labelled pods are refused.", "%s", text)
	default:
		c.ok("%s", text)
	}
}
