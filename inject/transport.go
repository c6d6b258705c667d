package inject

import (
	"path"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

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
	notOffered                // the engine does not have it
)

// offer returns what a pod is given to reach an engine by a transport, nil with the reason why it cannot.
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
	}
	return connection, offered
}

// socketMountPath returns where the socket's directory is mounted in a container: where it is mounted already, else at the
// wanted path. Runtimes order mounts by depth only, and /var/run is a symbolic link to /run in most images: a container's own
// mount that may come after ours at the same place would hide it. There, the path below that mount is used, which is deeper
// and so always comes after.
func socketMountPath(c *container, wanted string) string {
	at := wanted
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		own := mountPath(mount)
		if isVolume(mount, volumeSocket) {
			return own
		}
		rest, below := strings.CutPrefix(resolveRun(wanted), resolveRun(own)+"/")
		if below && own != "/" && strings.Count(own, "/") >= strings.Count(at, "/") {
			at = own + "/" + rest
		}
	}
	return at
}

// mountPath returns where a mount is, in its shortest form.
func mountPath(mount rawjson.Value) string {
	at, _ := mount.Get("mountPath").Str()
	return path.Clean(at)
}

// resolveRun follows the symbolic link from /var/run to /run.
func resolveRun(at string) string {
	if rest, ok := strings.CutPrefix(at, "/var/run"); ok && (rest == "" || rest[0] == '/') {
		return "/run" + rest
	}
	return at
}

// mountAt returns the container's mount or device at that path, links resolved, or the zero Value.
func (c *container) mountAt(at string) rawjson.Value {
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		if resolveRun(mountPath(mount)) == resolveRun(at) {
			return mount
		}
	}
	for _, device := range c.raw.Get("volumeDevices").Elements() {
		if own, _ := device.Get("devicePath").Str(); resolveRun(path.Clean(own)) == resolveRun(at) {
			return device
		}
	}
	return rawjson.Value{}
}

// obstacle returns why nothing can be mounted at that path: the runtime would have to make the mount point in something of
// the user's that is read-only, or make the user's in ours, which is.
func (c *container) obstacle(at string) string {
	at = resolveRun(at)
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		own := resolveRun(mountPath(mount))
		if strings.HasPrefix(own, at+"/") {
			return "mounts something of its own below it, at " + mountPath(mount)
		}
		readOnly, _ := mount.Get("readOnly").Bool()
		if readOnly && own != "/" && strings.HasPrefix(at, own+"/") {
			return "mounts " + mountPath(mount) + " read-only"
		}
	}
	return ""
}
