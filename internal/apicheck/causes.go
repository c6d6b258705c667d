package apicheck

import (
	"strings"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// The usual causes for an API server that does not reach a webhook. The values are the chart's.
const (
	causeFirewall = "A firewall keeps the control plane from the webhook's port: " +
		"private GKE clusters let it reach 10250 and 443 only. Keep webhook.port 10250, or open the port."
	causeOverlay = "The control plane has no route to the addresses of pods, as on EKS with an overlay CNI: " +
		"set hostNetwork=true and a free webhook.port."
	causeNetPolicy = "A NetworkPolicy keeps the port closed: set networkPolicy.enabled=true, or admit the webhook's port from everywhere."
	causeNotReady  = "No replica is ready: see kubectl get pods in the release's namespace. " +
		"Without the serving certificate's Secret they do not start."
	causeCertManager = "cert-manager has not issued the certificate, or its cainjector has not filled in caBundle: " +
		"see kubectl get certificate in the release's namespace, and whether cert-manager runs."
	causeExisting = "With certificates.mode existingSecret, certificates.caBundle is not the CA that signed the Secret's certificate, " +
		"or the certificate is not for SERVICE.NAMESPACE.svc."
	causeFault     = "The webhook answered that it failed: see its log."
	causeNoService = "The Service is missing or has another name or port than the webhook configuration says: upgrade the release again."

	causeExcluded = "The namespace is one of those that the webhook configuration excludes: choose another with --namespace."
	causeNoConfig = "There is no MutatingWebhookConfiguration " + registration.ConfigurationName + ", or the API server has not seen it yet."
	causeIgnored  = "webhook.failurePolicy.pod is Ignore and the webhook cannot be reached: see its replicas and the ways to them."
	causeRights   = "You may not create pods in the namespace: choose one in which you may with --namespace, or ask somebody who may. " +
		"A dry run takes the same right."
	causeOther = "Something else in the cluster refuses the pod before the webhook's answer counts: " +
		"choose another namespace with --namespace (check.namespace in the chart)."
)

// causes returns the usual causes if the webhook did not answer, most likely first.
func causes(a Answer) []string {
	says := func(texts ...string) bool {
		for _, text := range texts {
			if strings.Contains(a.Said, text) {
				return true
			}
		}
		return false
	}
	switch a.Outcome {
	case NotCalled:
		return []string{causeNoConfig, causeExcluded, causeIgnored}
	case Failed:
		if says("is forbidden: User") {
			return []string{causeRights}
		}
		return []string{causeOther}
	case Unreachable:
	default:
		return nil
	}
	switch {
	case says("x509:", "tls:"):
		return []string{causeCertManager, causeExisting}
	case says("no endpoints available"):
		return []string{causeNotReady, causeCertManager}
	case says("connection refused"):
		return []string{causeNotReady, causeNetPolicy, causeFirewall}
	case says("not found", "no service port", "no such host"):
		return []string{causeNoService}
	case says("an error on the server"):
		return []string{causeFault}
	}
	// Time-outs, and other errors of the network.
	return []string{causeFirewall, causeOverlay, causeNetPolicy, causeNotReady, causeCertManager}
}
