package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// TestOurInitContainersHaveTheMountThatThePodsHave keeps the ServiceAccount admission plugin from changing the pod after us.
func TestOurInitContainersHaveTheMountThatThePodsHave(t *testing.T) {
	token := corev1.VolumeMount{Name: "kube-api-access-x", ReadOnly: true, MountPath: tokenFolder}
	for spec, want := range map[string][]corev1.VolumeMount{
		"volumes: [{name: kube-api-access-x}, {name: kube-api-access-y}]":           {token},
		"volumes: [{name: kube-api-access}]":                                        nil,
		"volumes: [{name: kube-api-access-x}], automountServiceAccountToken: true":  {token},
		"volumes: [{name: kube-api-access-x}], automountServiceAccountToken: false": nil,
		`volumes: [{name: 'kube-api-access-"'}]`:                                    {{Name: `kube-api-access-"`, ReadOnly: true, MountPath: tokenFolder}},
	} {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], "+spec+"}}")
		in.Policies = policiesOf(t, "engine: {tcp: {address: 'e:1'}}\ncli: {image: 'i:1'}\nwait: {image: 'w:1'}")
		ours := patched(t, in, Decide(in)).Spec.InitContainers
		require.Equal(t, append([]corev1.VolumeMount{{Name: volumeCLI, MountPath: cliCopyDir}}, want...), ours[0].VolumeMounts, spec)
		require.Equal(t, want, ours[1].VolumeMounts, spec)
	}
}
