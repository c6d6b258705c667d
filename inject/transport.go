package inject

import "github.com/dagger-inject/dagger-inject/config"

// autoOrder is the order in which transports are tried where the policy leaves the choice: the node's own engine first, and
// what needs nothing of the namespace last.
var autoOrder = [...]config.Transport{config.TransportSocket, config.TransportNodeTCP, config.TransportTCP, config.TransportTLS}

// connection returns what an engine offers for a transport, nil for nothing.
func (c *choice) connection(e *compiledEngine, transport config.Transport) *connection {
	switch {
	case transport == config.TransportSocket:
		return e.socket
	case transport == config.TransportNodeTCP && c.in.NodeIPv6:
		return e.nodeTCP6
	case transport == config.TransportNodeTCP:
		return e.nodeTCP
	case transport == config.TransportTCP && e.replicas != nil:
		return c.replicaOf(e)
	case transport == config.TransportTCP:
		return e.tcp
	}
	return e.tls
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

// offer returns what a pod is given to reach an engine by a transport, nil with the reason why it cannot. Who asks for the
// socket by name is given it in a sandbox too: a runtime can be set up to pass sockets through.
func (c *choice) offer(e *compiledEngine, transport config.Transport) (*connection, verdict) {
	if c.transport != config.TransportAuto && c.transport != transport {
		return nil, notWanted
	}
	connection := c.connection(e, transport)
	switch {
	case connection == nil:
		return nil, notOffered
	case transport == config.TransportSocket && c.forbids != "":
		return nil, forbidden
	case transport == config.TransportSocket && c.transport == config.TransportAuto && c.sandbox(e) != "":
		return nil, sandboxed
	}
	return connection, offered
}
