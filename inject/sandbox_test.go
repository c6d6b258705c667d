package inject

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/config"
)

func TestASandboxIsNotGivenTheNodesSocketByAuto(t *testing.T) {
	const tcp = "tcp: {address: 'e.ci.svc:2555'}"
	cases := map[string]struct {
		pod, engine string
		want        config.Transport
		reason      Reason
		warned      bool
	}{
		"Kata": {"runtimeClassName: kata-qemu", "socket: {hostPath: /run/d}, " + tcp, config.TransportTCP, "", false},
		"Kata, with a port on the node": {"runtimeClassName: kata-qemu", "socket: {hostPath: /run/d}, nodeTCP: {port: 1234}",
			config.TransportNodeTCP, "", false},
		"Kata, only a socket": {"runtimeClassName: kata-qemu", "socket: {hostPath: /run/d}", "", ReasonSandboxed, false},
		"Kata, the socket by name": {"runtimeClassName: kata-qemu", "transport: socket, socket: {hostPath: /run/d}, " + tcp,
			config.TransportSocket, "", true},
		"Kata, which the policy lists": {"runtimeClassName: kata-qemu", "socket: {hostPath: /run/d, runtimeClasses: ['kata-*']}, " + tcp,
			config.TransportSocket, "", false},
		"NVIDIA's": {"runtimeClassName: nvidia", "socket: {hostPath: /run/d}, " + tcp, config.TransportSocket, "", false},
		"NVIDIA's, which the policy drops": {"runtimeClassName: nvidia", "socket: {hostPath: /run/d, runtimeClasses: []}, " + tcp,
			config.TransportTCP, "", false},
		"none":     {"runtimeClassName: null", "socket: {hostPath: /run/d}, " + tcp, config.TransportSocket, "", false},
		"only TCP": {"runtimeClassName: kata-qemu", tcp, config.TransportTCP, "", false},

		"users of its own": {"hostUsers: false", "socket: {hostPath: /run/d}, " + tcp, config.TransportSocket, "", false},
		"users of its own, a group above them": {"hostUsers: false", "socket: {hostPath: /run/d, group: 65536}, " + tcp, config.TransportTCP, "",
			false},
		"the node's users, the same group": {"hostUsers: true", "socket: {hostPath: /run/d, group: 65536}, " + tcp, config.TransportSocket, "",
			false},
		"only that group": {"hostUsers: false", "socket: {hostPath: /run/d, group: 65536}", "", ReasonSandboxed, false},
		"strict groups": {"securityContext: {supplementalGroupsPolicy: Strict}", "socket: {hostPath: /run/d}, " + tcp, config.TransportSocket,
			"", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], "+c.pod+"}}")
			in.Policies, in.Trace = policiesOf(t, "engine: {"+c.engine+"}\ncli: {delivery: none}"), &Trace{}
			plan := Decide(in)
			if c.reason != "" {
				require.Equal(t, DecisionRefused, plan.Decision)
				require.Equal(t, c.reason, plan.Reason)
				return
			}
			require.Equal(t, string(c.want), plan.Status.Transport)
			require.Equal(t, c.warned, len(plan.Warnings) == 1, plan.Warnings)
			if c.warned {
				require.Contains(t, plan.Warnings[0], "runtime class, kata-qemu, is not among engine.socket.runtimeClasses")
			}
		})
	}
}

func TestTheTraceSaysWhyASandboxGetsNoSocket(t *testing.T) {
	in := input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], runtimeClassName: gvisor}}")
	in.Policies, in.Trace = policiesOf(t, "engine: {socket: {hostPath: /run/d}, tcp: {address: 'e:1'}}"), &Trace{}
	Decide(in)
	require.Equal(t, "the pod's runtime class, gvisor, is not among engine.socket.runtimeClasses, which share the node's kernel",
		in.Trace.Transports[0].Because)
	require.True(t, in.Trace.Transports[2].Taken)
}

func TestARuntimeClassThatIsNoStringIsABadRequest(t *testing.T) {
	for _, spec := range []string{"runtimeClassName: [x]", "hostUsers: 'no'"} {
		plan := Decide(input(t, "{metadata: {labels: {dagger.io/inject: 'true'}}, spec: {containers: [{name: a}], "+spec+"}}"))
		require.Equal(t, ReasonBadRequest, plan.Reason, spec)
	}
}
