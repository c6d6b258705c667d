package inject

import (
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// additions are what an earlier call may have added to a pod, read once however many engines there are.
type additions struct {
	hosts       []runnerHost  // of the containers that are injected
	socket, tls rawjson.Value // the volumes
	// cliImage is the CLI's, and engineImage that of an engine of the pod's own.
	cliImage, engineImage string
}

type runnerHost struct {
	value        string
	mountsSocket bool
	tlsAt        string // where the client's certificates are mounted, empty for nowhere
}

// holds finds the engine that an earlier call connected the pod to, by what the pod has. Another call of the same admission may know
// or prefer other engines, and must not give the pod a second one.
func (c *choice) holds(targets []*container) {
	if !c.pod.bearsMarks() {
		return
	}
	have := c.pod.additions(targets)
	best := 0
	for _, e := range c.engines {
		if !c.wanted.Matches(&e.Identity) || c.stop.now() {
			continue
		}
		likeness, replica := c.likeness(e, have)
		if likeness > best {
			c.held, c.replica, best = e, replica, likeness
		}
	}
}

// bearsMarks reports whether it is worth looking for an earlier call's additions.
func (p *pod) bearsMarks() bool {
	if _, set := p.annotation(AnnotationStatus); set {
		return true
	}
	if p.initContainerNamed(initContainerCLI) != nil || p.initContainerNamed(initContainerWait) != nil {
		return true
	}
	for _, v := range p.volumes.Elements() {
		if name, _ := v.Get("name").Str(); name == volumeSocket || name == volumeTLS || name == volumeCLI {
			return true
		}
	}
	return false
}

func (p *pod) additions(targets []*container) *additions {
	a := &additions{socket: p.volumeNamed(volumeSocket), tls: p.volumeNamed(volumeTLS)}
	for _, t := range targets {
		if host, _ := t.env(EnvRunnerHost).Get("value").Str(); host != "" {
			tlsAt, _ := t.mountOf(volumeTLS)
			a.hosts = append(a.hosts, runnerHost{host, mounts(t, volumeSocket), tlsAt})
		}
	}
	if c := p.initContainerNamed(initContainerCLI); c != nil {
		a.cliImage = c.image
	} else {
		a.cliImage, _ = p.volumeNamed(volumeCLI).Get(imageSource).Get("reference").Str()
	}
	if c := p.initContainerNamed(initContainerEngine); c != nil {
		a.engineImage = c.image
	}
	return a
}

// likeness says how well what the pod has matches an engine; 0 means that the pod is not connected to it. Two engines may have the
// same address on different nodes. The CLI's image tells them apart, or else the labels that the pod selects.
func (c *choice) likeness(e *compiledEngine, have *additions) (likeness int, replica int32) {
	connected, replica := c.isConnected(e, have)
	if !connected {
		return 0, noReplica
	}
	likeness = 1
	if e.onNode.boundBy(c.pod) {
		likeness += 1 + len(e.onNode.nodeSelector)
	}
	if e.cli != nil && e.cli.container.image == have.cliImage {
		likeness += sameImage
	}
	if e.sidecar != nil && e.sidecar.container.image == have.engineImage {
		likeness += sameImage
	}
	return likeness, replica
}

// sameImage outweighs all labels of a placement.
const sameImage = 1000

// boundBy reports whether the pod selects all labels that the placement does.
func (pl *placement) boundBy(p *pod) bool {
	for _, add := range pl.nodeSelector {
		if value, _ := p.nodeSelector.Get(add.key).Str(); value != add.value {
			return false
		}
	}
	return true
}

// isConnected reports whether the pod has one of an engine's connections, and to which of its replicas.
func (c *choice) isConnected(e *compiledEngine, have *additions) (connected bool, replica int32) {
	for _, host := range have.hosts {
		if e.replicas != nil {
			if n, ok := e.replicas.Index(strings.TrimPrefix(host.value, tcpScheme)); ok {
				return true, n
			}
		}
		// The socket may be at a path that the container's own mounts do not hide.
		if host.mountsSocket && e.socket != nil && e.socket.isVolume(have.socket) && strings.HasSuffix(host.value, "/"+e.unixSocket.File) {
			return true, noReplica
		}
		if own := e.sidecar.conn(); own != nil && host.mountsSocket && own.isVolume(have.socket) &&
			strings.HasSuffix(host.value, "/"+engineSocket) {
			return true, noReplica
		}
		for _, own := range [...]*connection{e.nodeTCP, e.nodeTCP6, e.tcp, e.tls} {
			if own != nil && own.hostIn(&host) == host.value && (own.volume == "" || own.isVolume(have.tls)) {
				return true, noReplica
			}
		}
	}
	return false, noReplica
}

// hostIn returns the runner host of a connection in a container that may have the certificates in a spare folder.
func (c *connection) hostIn(have *runnerHost) string {
	const longest = 64 // no spare folder's path is longer, so a longer one is not compared
	if c.volume == "" || have.tlsAt == c.mountPath || len(have.tlsAt) > longest || !strings.HasPrefix(have.tlsAt, config.SpareFolder) {
		return c.host
	}
	return c.mountedAt(have.tlsAt).host
}
