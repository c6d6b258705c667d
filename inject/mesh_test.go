package inject

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestWhoIsInAMesh(t *testing.T) {
	type set = map[string]string
	cases := map[string]struct {
		metadata, spec      string
		labels, annotations set
		mark                string
	}{
		"nobody":                        {},
		"a labelled namespace":          {labels: set{"istio-injection": "enabled"}, mark: "istio-injection"},
		"a namespace's revision":        {labels: set{"istio.io/rev": "canary"}, mark: "istio.io/rev"},
		"both":                          {labels: set{"istio-injection": "enabled", "istio.io/rev": "x"}, mark: "istio-injection"},
		"the pod's label opts out":      {metadata: ", sidecar.istio.io/inject: 'false'}", labels: set{"istio-injection": "enabled"}},
		"the pod's label of a revision": {metadata: ", sidecar.istio.io/inject: 'false'}", labels: set{"istio.io/rev": "canary"}},
		"the pod's annotation opts out": {metadata: "}, annotations: {sidecar.istio.io/inject: 'false'}",
			labels: set{"istio-injection": "enabled"}},
		"the label beats the annotation": {metadata: ", sidecar.istio.io/inject: 'true'}, annotations: {sidecar.istio.io/inject: 'false'}",
			labels: set{"istio-injection": "enabled"}, mark: "istio-injection"},
		"and the other way round": {metadata: ", sidecar.istio.io/inject: 'false'}, annotations: {sidecar.istio.io/inject: 'true'}",
			labels: set{"istio-injection": "enabled"}},
		"the pod's label opts in":      {metadata: ", sidecar.istio.io/inject: 'true'}", mark: "sidecar.istio.io/inject"},
		"the pod's annotation opts in": {metadata: "}, annotations: {sidecar.istio.io/inject: 'true'}", mark: "sidecar.istio.io/inject"},
		"the pod's revision":           {metadata: ", istio.io/rev: canary}", mark: "istio.io/rev"},
		"a disabled namespace": {metadata: ", sidecar.istio.io/inject: 'true', istio.io/rev: x}",
			labels: set{"istio-injection": "disabled", "istio.io/rev": "x"}},
		"ambient has no proxy": {labels: set{"istio.io/dataplane-mode": "ambient"}},
		"linkerd's namespace":  {annotations: set{"linkerd.io/inject": "enabled"}, mark: "linkerd.io/inject"},
		"linkerd's ingress":    {annotations: set{"linkerd.io/inject": "ingress"}, mark: "linkerd.io/inject"},
		"linkerd's pod opts out": {metadata: "}, annotations: {linkerd.io/inject: disabled}",
			annotations: set{"linkerd.io/inject": "enabled"}},
		"linkerd's pod opts in": {metadata: "}, annotations: {linkerd.io/inject: enabled}",
			annotations: set{"linkerd.io/inject": "disabled"}, mark: "linkerd.io/inject"},
		"linkerd's label is no mark": {labels: set{"linkerd.io/inject": "enabled"}},
		"in one, out of the other": {metadata: ", sidecar.istio.io/inject: 'false'}, annotations: {linkerd.io/inject: enabled}",
			labels: set{"istio-injection": "enabled"}, mark: "linkerd.io/inject"},
		"the host's network": {spec: "{hostNetwork: true, containers: [{name: job}]}", labels: set{"istio-injection": "enabled"},
			annotations: set{"linkerd.io/inject": "enabled"}},
		"a proxy is there": {metadata: ", sidecar.istio.io/inject: 'false'}", spec: "{containers: [{name: job}, {name: istio-proxy}]}",
			mark: "container istio-proxy"},
		"a native sidecar is there": {spec: "{initContainers: [{name: linkerd-proxy, restartPolicy: Always}], containers: [{name: job}]}",
			mark: "container linkerd-proxy"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.metadata == "" {
				c.metadata = noMetadata
			}
			if c.spec == "" {
				c.spec = oneJob
			}
			for _, engine := range []string{bySocket, byTCP, "engine: {nodeTCP: {port: 7}}\n", "engine: {tls: {address: 'e:1'}}\n"} {
				in := waiting(t, engine+waitAndCLI, c.metadata, c.spec)
				in.Namespace.Labels, in.Namespace.Annotations = c.labels, c.annotations
				want := "on"
				if c.mark != "" && engine != bySocket {
					want = fmt.Sprintf("off: mesh (%s)", c.mark)
				}
				require.Equal(t, want, Decide(in).Status.Wait, engine)
			}
		})
	}
}

// TestAMeshThatGaveNoSignIsReported has an injector that goes by rules that cannot be seen from here: what was added stays.
func TestAMeshThatGaveNoSignIsReported(t *testing.T) {
	in := waiting(t, byTCP+waitAndCLI, noMetadata, oneJob)
	pod := patched(t, in, Decide(in))
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "istio-proxy"})
	text, err := yaml.Marshal(pod)
	require.NoError(t, err)
	in.Pod = input(t, string(text)).Pod
	plan := Decide(in)
	require.Equal(t, "on: before a mesh (container istio-proxy)", plan.Status.Wait)
	require.Len(t, plan.Operations, 1, "the status alone")
	require.Len(t, patched(t, in, plan).Spec.InitContainers, 2)
}
