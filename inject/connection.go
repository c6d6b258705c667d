package inject

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// EnvRunnerHost tells the Dagger client where its engine is (dagger, engine/client; still its name in the 1.0 betas).
	EnvRunnerHost = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
	// EnvCLIBin tells Dagger's SDKs to use this CLI instead of downloading one.
	EnvCLIBin = "_EXPERIMENTAL_DAGGER_CLI_BIN"
	// EnvNodeIP is the address of the pod's node, from the downward API.
	EnvNodeIP     = "DAGGER_NODE_IP"
	envCloudToken = "DAGGER_CLOUD_TOKEN"

	volumeSocket = "dagger-inject-socket"
	volumeTLS    = "dagger-inject-tls"
	// tlsMountPath is where the client's certificate and the CA are in containers.
	tlsMountPath = config.OwnFolder + "/tls"

	fieldHostIP = "status.hostIP"
)

// connection is what a container gets to reach an engine.
type connection struct {
	transport config.Transport
	// host is the runner host, and hostJSON the variable with it.
	host     string
	hostJSON json.RawMessage
	// nodeIPJSON is the variable that the runner host refers to, which must come before it; nil if it refers to none.
	nodeIPJSON json.RawMessage
	// nodeLocal is true if the engine is the one on the pod's own node.
	nodeLocal bool
	// group is the numeric group that may connect to the socket; 0 where there is none.
	group int64
	// discovered is true if the connection leads to the engine that was read off a workload, even if the policy names the same
	// address.
	discovered bool
	// volume is the name of the volume that the container mounts, empty for none.
	volume     string
	volumeJSON json.RawMessage
	isVolume   func(rawjson.Value) bool
	// mountPath is where it is mounted, and mountJSON the mount.
	mountPath string
	mountJSON json.RawMessage
	// spare is the path below a folder of our own at which the volume is mounted if mountPath is taken. mountedAt returns the same
	// connection with the volume mounted elsewhere.
	spare     string
	mountedAt func(mountPath string) *connection
}

// connect compiles the connections that the engine offers.
func (c *compiledEngine) connect(e *engine.Engine, mountPath string) {
	if e.Socket != nil {
		c.socket = socketConnection(e.Socket, mountPath)
	}
	if e.NodeTCP != nil {
		c.nodeTCP = nodeConnection("tcp://$("+EnvNodeIP+"):", e.NodeTCP.Port)
		c.nodeTCP6 = nodeConnection("tcp://[$("+EnvNodeIP+")]:", e.NodeTCP.Port)
	}
	if e.TCP != nil {
		c.tcp = newConnection(config.TransportTCP, "tcp://"+e.TCP.Address)
		c.tcp.nodeLocal = e.TCP.NodeLocal
	}
	if e.TLS != nil {
		c.tls = tlsConnection(e.TLS, tlsMountPath)
	}
	for _, conn := range []*connection{c.socket, c.nodeTCP, c.nodeTCP6, c.tcp, c.tls} {
		if conn != nil {
			conn.discovered = e.Discovered(conn.transport)
		}
	}
}

// sameConnection returns other if the two are equal. What a connection mounts follows from its volume and its host.
func sameConnection(made, other *connection) *connection {
	if made == nil || other == nil {
		return made
	}
	a, b := *made, *other
	a.isVolume, b.isVolume, a.mountedAt, b.mountedAt = nil, nil, nil, nil
	if reflect.DeepEqual(a, b) {
		return other
	}
	return made
}

// isSocket reports whether the pod reaches the engine by a Unix socket, be it of the node's engine or of the pod's own.
func (c *connection) isSocket() bool {
	return c.transport == config.TransportSocket || c.transport == config.TransportSidecar
}

func newConnection(transport config.Transport, host string) *connection {
	return &connection{transport: transport, host: host, hostJSON: envJSON(EnvRunnerHost, host)}
}

// socketConnection mounts the socket's directory, not the file: an engine that restarts creates the file anew.
func socketConnection(s *engine.Socket, mountPath string) *connection {
	c := newConnection(config.TransportSocket, "unix://"+mountPath+"/"+s.File)
	c.nodeLocal, c.group = true, s.Group
	// The volume has no type, so that the wait reports a missing directory. With a type the kubelet would report FailedMount
	// forever.
	c.mount(volumeSocket, mountPath, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: s.HostPath}})
	c.isVolume = func(v rawjson.Value) bool {
		path, _ := v.Get("hostPath").Get("path").Str()
		return path == s.HostPath
	}
	var below *connection // where a container's own mount at /var/run would hide this one, as those of dind do
	if rest, ok := strings.CutPrefix(mountPath, "/run/"); ok {
		below = socketConnection(s, "/var/run/"+rest)
	}
	c.spare, c.mountedAt = "run", func(mountPath string) *connection {
		if below != nil && mountPath == below.mountPath {
			return below
		}
		return socketConnection(s, mountPath)
	}
	return c
}

func nodeConnection(prefix string, port int32) *connection {
	c := newConnection(config.TransportNodeTCP, prefix+strconv.Itoa(int(port)))
	c.nodeLocal = true
	c.nodeIPJSON = mustMarshal(corev1.EnvVar{Name: EnvNodeIP,
		ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: fieldHostIP}}})
	return c
}

// tlsConnection puts the paths of the Secret's files into the query of the runner host, where the client reads them.
func tlsConnection(t *engine.TLS, mountPath string) *connection {
	if t.SecretName == "" {
		return newConnection(config.TransportTLS, "tls://"+t.Address)
	}
	query := ""
	for _, file := range []struct{ key, name string }{{"ca_path", t.CAFile}, {"cert_path", t.CertFile}, {"key_path", t.KeyFile}} {
		if file.name != "" {
			query += "&" + file.key + "=" + url.QueryEscape(mountPath+"/"+file.name)
		}
	}
	c := newConnection(config.TransportTLS, "tls://"+t.Address+"?"+query[1:])
	c.mount(volumeTLS, mountPath, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: t.SecretName}})
	c.isVolume = func(v rawjson.Value) bool {
		name, _ := v.Get("secret").Get("secretName").Str()
		return name == t.SecretName
	}
	c.spare, c.mountedAt = "tls", func(mountPath string) *connection { return tlsConnection(t, mountPath) }
	return c
}

func (c *connection) mount(volume, mountPath string, source corev1.VolumeSource) {
	c.volume, c.volumeJSON = volume, mustMarshal(corev1.Volume{Name: volume, VolumeSource: source})
	c.mountPath, c.mountJSON = mountPath, mustMarshal(corev1.VolumeMount{Name: volume, MountPath: mountPath, ReadOnly: true})
}

// connectionFor returns what a container gets. It mounts the volume at a path that the container's own mounts neither hide nor
// obstruct. Any path will do, because a variable names it.
func (i *injection) connectionFor(c *container) (*connection, place) {
	shared := i.connection
	if shared.volume == "" {
		return shared, place{}
	}
	where := i.pod.place(c, shared.volume, unhidden(c, shared.mountPath), shared.spare)
	if where.at == shared.mountPath {
		return shared, where
	}
	return shared.mountedAt(where.at), where
}

// wiredByHand returns why a container stays as it is, or empty. It does if a person has connected it to an engine:
//
//   - The container sets the runner host, or the node's address that our runner host refers to, to another value than it would get.
//     The same value is ours from an earlier call, or as good as ours.
//   - The container mounts a hostPath volume at the path of the socket's directory, or of the socket.
//
// Any other mount at that path is no engine of the node's, and the socket's directory is mounted elsewhere.
func (i *injection) wiredByHand(c *container, conn *connection, where place, vars *envVars) string {
	if vars.runnerHost.IsSet() {
		if value, ok := vars.runnerHost.Get("value").Str(); !ok || value != conn.host {
			return "sets " + EnvRunnerHost + " itself"
		}
	}
	if conn.nodeIPJSON != nil && vars.nodeIP.IsSet() && !isHostIP(vars.nodeIP) {
		return "sets " + EnvNodeIP + " to something else than its node's address"
	}
	if conn.transport != config.TransportSocket || where.mounted {
		return ""
	}
	directory := i.connection.mountPath
	for _, at := range [...]string{directory, directory + "/" + i.engine.unixSocket.File} {
		if name, _ := c.ownMountAt(at).Get("name").Str(); i.pod.sourceOf(name).hostPath {
			return "mounts a hostPath volume at " + at
		}
	}
	return ""
}

// isHostIP reports whether a variable is the address of the pod's node.
func isHostIP(e rawjson.Value) bool {
	path, _ := e.Get("valueFrom").Get("fieldRef").Get("fieldPath").Str()
	return path == fieldHostIP
}
