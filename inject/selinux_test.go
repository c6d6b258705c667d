package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestSELinuxOptions(t *testing.T) {
	const policy = "engine: {socket: {hostPath: /run/d, seLinuxOptions: {type: dagger_client_t}}, tcp: {address: 'e:1'}}\n"
	own := &corev1.SELinuxOptions{Type: "own_t"}
	ours := &corev1.SELinuxOptions{Type: "dagger_client_t"}
	cases := map[string]struct {
		container, pod, policy string
		want                   *corev1.SELinuxOptions
		status                 string
	}{
		"none":            {"", "", "", ours, "type=dagger_client_t"},
		"null":            {", securityContext: null", "", "", ours, "type=dagger_client_t"},
		"the container's": {", securityContext: {seLinuxOptions: {type: own_t}}", "", "", own, ""},
		"the same":        {", securityContext: {seLinuxOptions: {type: dagger_client_t}}", "", "", ours, "type=dagger_client_t"},
		"the pod's":       {"", ", securityContext: {seLinuxOptions: {type: own_t}}", "", nil, ""},
		"not for a TCP": {"", "", "engine: {transport: tcp, socket: {hostPath: /run/d, seLinuxOptions: {type: t}}, tcp: {address: 'e:1'}}",
			nil, ""},
		"none in a policy": {"", "", "engine: {socket: {hostPath: /run/d}}", nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a"+c.container+"}]"+c.pod+"}}")
			in.Policies = policiesOf(t, policy)
			if c.policy != "" {
				in.Policies = policiesOf(t, c.policy)
			}
			plan := Decide(in)
			pod := patched(t, in, plan)
			var got *corev1.SELinuxOptions
			if sc := pod.Spec.Containers[0].SecurityContext; sc != nil {
				got = sc.SELinuxOptions
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.status, plan.Status.SELinux)
			in.Pod = input(t, string(mustMarshal(pod))).Pod
			require.Equal(t, ReasonAlreadyInjected, Decide(in).Reason)
		})
	}
}

// TestTheWaitHasTheSELinuxOptions where the containers that use the socket have: it would wait for what it may not connect to.
func TestTheWaitHasTheSELinuxOptions(t *testing.T) {
	const policy = "wait: {image: 'w:1'}\ncli: {image: 'i:1'}\nengine: {socket: {hostPath: /run/d, seLinuxOptions: {type: " +
		"dagger_client_t}}, tcp: {address: 'e:1'}, transport: "
	for _, c := range []struct {
		transport, pod string
		want           *corev1.SELinuxOptions
	}{
		{"socket", "", &corev1.SELinuxOptions{Type: "dagger_client_t"}},
		{"socket", ", securityContext: {seLinuxOptions: {type: own_t}}", nil},
		{"tcp", "", nil},
	} {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}]"+c.pod+"}}")
		in.Policies = policiesOf(t, policy+c.transport+"}")
		pod := patched(t, in, Decide(in))
		require.Len(t, pod.Spec.InitContainers, 2)
		require.Nil(t, pod.Spec.InitContainers[0].SecurityContext.SELinuxOptions, "the copy uses no socket")
		require.Equal(t, "dagger-wait", pod.Spec.InitContainers[1].Name)
		require.Equal(t, c.want, pod.Spec.InitContainers[1].SecurityContext.SELinuxOptions)
		in.Pod = input(t, string(mustMarshal(pod))).Pod
		require.Equal(t, ReasonAlreadyInjected, Decide(in).Reason)
	}
}

// TestSELinuxOptionsAreNotGivenToAWholeRunnerSpec has a runner that legacy ARC makes from fields of the spec itself: its
// securityContext is the pod's, and so that of the docker daemon beside it.
func TestSELinuxOptionsAreNotGivenToAWholeRunnerSpec(t *testing.T) {
	for own, left := range map[string]int{"": 1, ", securityContext: {seLinuxOptions: {type: own_t}}": 0} {
		in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {image: i"+own+"}}")
		in.RunnerSpec, in.System = true, SystemARCLegacy
		in.Policies = policiesOf(t, "engine: {socket: {hostPath: /run/d, seLinuxOptions: {type: dagger_client_t}}}")
		plan := Decide(in)
		require.Equal(t, DecisionInjected, plan.Decision)
		require.Len(t, plan.Status.Left, left)
		require.Empty(t, plan.Status.SELinux)
		for _, op := range plan.Operations {
			require.NotContains(t, string(mustMarshal(op.Value)), "dagger_client_t")
		}
	}
}
