package inject

import "cmp"

const (
	istioInject    = "sidecar.istio.io/inject" // a label; an annotation in older versions
	istioRevision  = "istio.io/rev"
	istioInjection = "istio-injection"
	linkerdInject  = "linkerd.io/inject"
)

// meshMark returns the mark by which a pod has the proxy of a mesh, or will be given one, empty for none. The injectors of
// Istio and Linkerd sort after this webhook: on its first call, only their rules say what they will do. Where those leave it
// open, the pod is taken to be in the mesh. Rules that only a mesh's own configuration holds are not seen.
func meshMark(p *pod, ns *Namespace) string {
	// The proxy comes last, so that a call after an injector's says the same as the one before.
	if hostNetwork, _ := p.spec.Get("hostNetwork").Bool(); !hostNetwork { // else both leave the pod alone
		if mark := cmp.Or(istioMark(p, ns), linkerdMark(p, ns)); mark != "" {
			return mark
		}
	}
	for _, proxy := range [...]string{"istio-proxy", "linkerd-proxy"} {
		if p.containerNamed(proxy) != nil || p.initContainerNamed(proxy) != nil {
			return "container " + proxy
		}
	}
	return ""
}

// istioMark follows the selectors of Istio's webhooks (istio, manifests/charts/istio-control/istio-discovery,
// mutatingwebhook.yaml) and what is asked of a pod that they select (pkg/kube/inject, injectRequired).
func istioMark(p *pod, ns *Namespace) string {
	own, labelled := p.label(istioInject)
	if !labelled {
		own, _ = p.annotation(istioInject)
	}
	if own == "false" {
		return ""
	}
	if value, set := ns.Labels[istioInjection]; set {
		if value == "enabled" {
			return istioInjection
		}
		return "" // no webhook selects the namespace, whatever its pods say
	}
	if ns.Labels[istioRevision] != "" {
		return istioRevision
	}
	// An annotation alone is asked for where all namespaces are selected, as in OpenShift's Service Mesh.
	if own != "" {
		return istioInject
	}
	if revision, _ := p.label(istioRevision); revision != "" {
		return istioRevision
	}
	return ""
}

// linkerdMark follows Linkerd's truth table (linkerd2, pkg/inject/report.go): the pod's annotation decides, then its
// namespace's.
func linkerdMark(p *pod, ns *Namespace) string {
	value, _ := p.annotation(linkerdInject)
	if value == "" {
		value = ns.Annotations[linkerdInject]
	}
	if value == "enabled" || value == "ingress" {
		return linkerdInject
	}
	return ""
}
