package inject

import "github.com/dagger-inject/dagger-inject/config"

// autoOrder is the order in which auto tries the transports: the node's own engine first, and what needs nothing of the namespace
// last. auto never takes the sidecar.
var autoOrder = [...]config.Transport{config.TransportSocket, config.TransportNodeTCP, config.TransportTCP, config.TransportTLS,
	config.TransportSidecar}

// verdict is what a policy and a namespace say of a transport.
type verdict int

const (
	offered         verdict = iota // it can be taken
	notWanted                      // engine.transport names another
	forbidden                      // the namespace forbids hostPath volumes
	sandboxed                      // the socket is of no use to the pod
	notOffered                     // the engine does not have it
	unfitForSidecar                // the pod cannot have an engine of its own
)

// offer is a transport to an engine, judged for one pod.
type offer struct {
	transport config.Transport
	// connection is what the engine has for the transport, nil for nothing.
	connection *connection
	verdict    verdict
}

// offers are the transports to an engine, in the order in which they are tried.
type offers [len(autoOrder)]offer

// first returns the first connection that can be taken, nil for none.
func (o *offers) first() *connection {
	for i := range o {
		if o[i].verdict == offered {
			return o[i].connection
		}
	}
	return nil
}

// judge returns the transports to an engine for the pod of the choice. Each is judged once: what the last call found is kept,
// since the decision, its refusal and its trace ask for the same engine one after the other.
func (c *choice) judge(e *compiledEngine) *offers {
	if c.judged == e {
		return &c.judgement
	}
	c.judged = e
	for i, transport := range autoOrder {
		connection := c.connectionOf(e, transport)
		c.judgement[i] = offer{transport, connection, c.verdictOn(e, transport, connection)}
	}
	return &c.judgement
}

// verdictOn judges one transport. A pod that asks for the socket by name is given it in a sandbox too: a runtime can be set up to
// pass sockets through.
func (c *choice) verdictOn(e *compiledEngine, transport config.Transport, connection *connection) verdict {
	auto := c.transport == config.TransportAuto
	switch {
	case c.transport != transport && (!auto || transport == config.TransportSidecar):
		return notWanted
	case transport == config.TransportSidecar && c.noSidecar(e) != nil:
		return unfitForSidecar
	case connection == nil:
		return notOffered
	case transport != config.TransportSocket:
		return offered
	case c.forbids != "":
		return forbidden
	case auto && c.sandbox(e) != "":
		return sandboxed
	}
	return offered
}

// connectionOf returns what an engine has for a transport, nil for nothing.
func (c *choice) connectionOf(e *compiledEngine, transport config.Transport) *connection {
	switch {
	case transport == config.TransportSocket:
		return e.socket
	case transport == config.TransportNodeTCP && c.in.Cluster.NodeIPv6:
		return e.nodeTCP6
	case transport == config.TransportNodeTCP:
		return e.nodeTCP
	case transport == config.TransportTCP && e.replicas != nil:
		return c.replicaOf(e)
	case transport == config.TransportTCP:
		return e.tcp
	case transport == config.TransportSidecar:
		return e.sidecar.conn()
	}
	return e.tls
}
