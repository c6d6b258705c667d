package engines

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// NetworkPolicy returns the NetworkPolicy that lets only pods that may be injected reach an engine's port, by the cluster's policy
// documents; nil stands for an empty policy. Other ports that the engine's pods declare stay open. It returns an error for an engine
// that does not listen, or that no NetworkPolicy can protect.
func NetworkPolicy(d *engine.Discovered, w *engine.Workloads, documents *config.Documents) (*networkingv1.NetworkPolicy, error) {
	if d.TCP == nil {
		return nil, fmt.Errorf("%s listens on no port", d.Workload)
	}
	runs, err := cluster.RunsOf(w, d.Workload.String())
	if err != nil {
		return nil, err
	}
	if runs.Template.Spec.HostNetwork {
		return nil, fmt.Errorf("%s has hostNetwork: no NetworkPolicy applies to its pods", d.Workload)
	}
	peers, err := mayBeInjected(documents)
	if err != nil {
		return nil, err
	}
	selector := metav1.LabelSelector{}
	if runs.Selector != nil {
		selector = *runs.Selector
	}
	policy := &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Workload.Namespace, Name: d.Workload.Name + "-injected-only"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: selector,
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: peers, Ports: []networkingv1.NetworkPolicyPort{portOf(corev1.ProtocolTCP, d.TCP.Port)}}},
		},
	}
	if others := otherPorts(runs.Template, d.TCP.Port); len(others) > 0 {
		policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{Ports: others})
	}
	return policy, nil
}

// mayBeInjected returns the pods whose label or whose namespace's label counts.
func mayBeInjected(documents *config.Documents) ([]networkingv1.NetworkPolicyPeer, error) {
	namespaces := config.Namespaces{PodLabel: config.PodLabelAllow}
	if documents != nil {
		effective, err := config.Resolve(documents, nil, config.DefaultProfile)
		if err != nil {
			return nil, fmt.Errorf("the cluster's policy is invalid: %w", err)
		}
		namespaces = effective.Policy.Namespaces
	}
	optedIn := namespaces.Selector.DeepCopy()
	optedIn.MatchLabels = maps.Clone(optedIn.MatchLabels)
	if optedIn.MatchLabels == nil {
		optedIn.MatchLabels = map[string]string{}
	}
	optedIn.MatchLabels[inject.LabelInject] = inject.InjectTrue
	peers := []networkingv1.NetworkPolicyPeer{{NamespaceSelector: optedIn, PodSelector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: inject.LabelInject, Operator: metav1.LabelSelectorOpNotIn, Values: []string{inject.InjectFalse}}}}}}
	if namespaces.PodLabel == config.PodLabelAllow {
		peers = append(peers, networkingv1.NetworkPolicyPeer{
			NamespaceSelector: namespaces.Selector.DeepCopy(),
			PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
				Key: inject.LabelInject, Operator: metav1.LabelSelectorOpIn, Values: []string{inject.InjectTrue, inject.InjectOptional}}}},
		})
	}
	return peers, nil
}

func portOf(protocol corev1.Protocol, port int32) networkingv1.NetworkPolicyPort {
	number := intstr.FromInt32(port)
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &number}
}

// otherPorts are those that the pods declare beside the engine's, such as one for metrics.
func otherPorts(template *corev1.PodTemplateSpec, port int32) []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	known := map[corev1.ContainerPort]bool{}
	for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		for _, p := range c.Ports {
			p = corev1.ContainerPort{ContainerPort: p.ContainerPort, Protocol: cmp.Or(p.Protocol, corev1.ProtocolTCP)}
			if known[p] || p.ContainerPort == port && p.Protocol == corev1.ProtocolTCP {
				continue
			}
			known[p] = true
			ports = append(ports, portOf(p.Protocol, p.ContainerPort))
		}
	}
	return ports
}
