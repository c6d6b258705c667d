package chart

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestOnlyWhatMayBeInjectedReachesEngines asks of the rendered NetworkPolicies what a network would.
func TestOnlyWhatMayBeInjectedReachesEngines(t *testing.T) {
	matches := func(s *metav1.LabelSelector, set map[string]string) bool {
		selector, err := metav1.LabelSelectorAsSelector(s)
		require.NoError(t, err)
		return selector.Matches(labels.Set(set))
	}
	admits := func(p *networkingv1.NetworkPolicy, namespace, pod map[string]string) bool {
		require.Len(t, p.Spec.Ingress[0].Ports, 1)
		require.Equal(t, corev1.ProtocolTCP, *p.Spec.Ingress[0].Ports[0].Protocol)
		for _, peer := range p.Spec.Ingress[0].From {
			require.NotNil(t, peer.NamespaceSelector, "a peer without one is a pod of the engine's namespace")
			if matches(peer.NamespaceSelector, namespace) && (peer.PodSelector == nil || matches(peer.PodSelector, pod)) {
				return true
			}
		}
		return false
	}
	opted, asks := map[string]string{"dagger.io/inject": "true"}, map[string]string{"dagger.io/inject": "optional"}
	policiesOf := func(set values) (policies []*networkingv1.NetworkPolicy) {
		for _, p := range all[*networkingv1.NetworkPolicy](objects(t, set)) {
			if p.Namespace != namespace {
				policies = append(policies, p)
			}
		}
		return policies
	}

	require.Empty(t, policiesOf(cases(t)["default"]), "it is off")
	one := policiesOf(parse(t, "engineNetworkPolicy: {enabled: true}"))
	require.Len(t, one, 1)
	require.Equal(t, "dagger", one[0].Namespace)
	require.Equal(t, map[string]string{"app.kubernetes.io/name": "dagger-helm"}, one[0].Spec.PodSelector.MatchLabels)
	require.Len(t, one[0].Spec.Ingress, 1)
	require.EqualValues(t, 1234, one[0].Spec.Ingress[0].Ports[0].Port.IntValue())
	require.True(t, admits(one[0], opted, nil))
	require.False(t, admits(one[0], opted, map[string]string{"dagger.io/inject": "false"}))
	require.True(t, admits(one[0], nil, asks))
	require.True(t, admits(one[0], nil, opted))
	require.False(t, admits(one[0], nil, nil))
	require.False(t, admits(one[0], nil, map[string]string{"dagger.io/inject": "false"}))

	strict := policiesOf(cases(t)["engine-networkpolicy"])
	require.Len(t, strict, 2)
	for _, p := range strict {
		platform := map[string]string{"dagger.io/inject": "true", "team": "platform"}
		require.True(t, admits(p, platform, nil))
		require.False(t, admits(p, opted, nil), "the policy selects other namespaces")
		require.False(t, admits(p, map[string]string{"team": "platform"}, asks), "a pod's own label does not count")
		require.False(t, admits(p, map[string]string{"dagger.io/inject": "true", "team": "platform", "stage": "production"}, nil))
		require.EqualValues(t, 2555, p.Spec.Ingress[0].Ports[0].Port.IntValue())
		require.Len(t, p.Spec.Ingress, 2)
		require.Empty(t, p.Spec.Ingress[1].From)
	}
}
