package inject

import "github.com/dagger-inject/dagger-inject/config"

// autoOrder is the order in which transports are tried where the policy leaves the choice: the node's own engine first, and
// what needs nothing of the namespace last.
var autoOrder = [...]config.Transport{config.TransportSocket, config.TransportNodeTCP, config.TransportTCP, config.TransportTLS}

// connection returns what the engine offers for a transport, nil for nothing.
func (policy *Policy) connection(transport config.Transport, nodeIPv6 bool) *connection {
	switch {
	case transport == config.TransportSocket:
		return policy.socket
	case transport == config.TransportNodeTCP && nodeIPv6:
		return policy.nodeTCP6
	case transport == config.TransportNodeTCP:
		return policy.nodeTCP
	case transport == config.TransportTCP:
		return policy.tcp
	}
	return policy.tls
}

// verdict is what a policy and a namespace say of a transport.
type verdict int

const (
	offered    verdict = iota // it can be taken
	notWanted                 // engine.transport names another
	forbidden                 // the namespace forbids hostPath volumes
	sandboxed                 // the socket is of no use to the pod
	notOffered                // the engine does not have it
)

// bars are what keeps a pod from the node's socket, empty for nothing.
type bars struct {
	hostPath string // what forbids hostPath volumes
	sandbox  string // why the socket would be of no use
}

func (policy *Policy) bars(p *pod, ns *Namespace) bars {
	b := bars{sandbox: policy.sandbox(p)}
	if !policy.ignorePodSecurity {
		b.hostPath = ns.forbidsHostPath(policy.podSecurity)
	}
	return b
}

// offer returns what a pod is given to reach the engine by a transport, nil with the reason why it cannot. Who asks for the
// socket by name is given it in a sandbox too: a runtime can be set up to pass sockets through.
func (policy *Policy) offer(transport, wanted config.Transport, in *Input, b bars) (*connection, verdict) {
	if wanted != config.TransportAuto && wanted != transport {
		return nil, notWanted
	}
	c := policy.connection(transport, in.NodeIPv6)
	switch {
	case c == nil:
		return nil, notOffered
	case transport == config.TransportSocket && b.hostPath != "":
		return nil, forbidden
	case transport == config.TransportSocket && wanted == config.TransportAuto && b.sandbox != "":
		return nil, sandboxed
	}
	return c, offered
}

// chooseTransport returns how the pod reaches the engine, or why it cannot.
func (policy *Policy) chooseTransport(wanted config.Transport, p *pod, in *Input) (*connection, Reason, string) {
	b := policy.bars(p, &in.Namespace)
	for _, transport := range autoOrder {
		if c, _ := policy.offer(transport, wanted, in, b); c != nil {
			in.Trace.transports(policy, wanted, in, b, c)
			return c, "", ""
		}
	}
	in.Trace.transports(policy, wanted, in, b, nil)
	switch {
	case b.hostPath != "" && policy.socket != nil && (wanted == config.TransportAuto || wanted == config.TransportSocket):
		return nil, ReasonHostPathForbidden, "hostPath volumes are forbidden by " + b.hostPath
	case b.sandbox != "" && policy.socket != nil && wanted == config.TransportAuto:
		return nil, ReasonSandboxed, b.sandbox
	case policy.discoverErr != nil:
		return nil, ReasonNoEngine, policy.discoverErr.Error()
	case policy.engine.unsafe != "" && (wanted == config.TransportAuto || wanted == config.TransportTCP):
		return nil, ReasonNoEngine, "the Service " + policy.engine.unsafe
	case wanted != config.TransportAuto:
		return nil, ReasonNoEngine, "the transport is " + string(wanted) + ", and the engine does not offer it"
	case policy.engine.workload != "":
		return nil, ReasonNoEngine, policy.engine.workload + " offers nothing that the pod can reach"
	}
	return nil, ReasonNoEngine, ""
}
