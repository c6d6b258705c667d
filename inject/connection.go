package inject

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strconv"

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
	tlsMountPath = "/etc/dagger-inject/tls"

	fieldHostIP = "status.hostIP"
)

// connection is what a container is given to reach an engine.
type connection struct {
	transport config.Transport
	// host is the runner host, and hostJSON the variable with it.
	host     string
	hostJSON json.RawMessage
	// nodeIPJSON is the variable that the runner host refers to; it must stand before it. Nil where it does not.
	nodeIPJSON json.RawMessage
	// nodeLocal is true where the engine is the one of the pod's own node.
	nodeLocal bool
	// discovered is true where it leads to the engine that was read off a workload, whoever named it.
	discovered bool
	// volume is the name of the volume that the container mounts, empty for none.
	volume     string
	volumeJSON json.RawMessage
	isVolume   func(rawjson.Value) bool
	// mountPath is where it is mounted, and mountJSON the mount.
	mountPath string
	mountJSON json.RawMessage
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
		c.tls = tlsConnection(e.TLS)
	}
	for _, conn := range []*connection{c.socket, c.nodeTCP, c.nodeTCP6, c.tcp, c.tls} {
		if conn != nil {
			conn.discovered = e.Discovered(conn.transport)
		}
	}
}

// sameConnection returns the other connection where it is the same. What a connection mounts follows from its volume.
func sameConnection(made, other *connection) *connection {
	if made == nil || other == nil {
		return made
	}
	a, b := *made, *other
	if a.isVolume, b.isVolume = nil, nil; reflect.DeepEqual(a, b) {
		return other
	}
	return made
}

func newConnection(transport config.Transport, host string) *connection {
	return &connection{transport: transport, host: host, hostJSON: envJSON(EnvRunnerHost, host)}
}

// socketConnection mounts the socket's directory, not its file: a restarted engine makes that anew.
func socketConnection(s *engine.Socket, mountPath string) *connection {
	c := newConnection(config.TransportSocket, "unix://"+mountPath+"/"+s.File)
	c.nodeLocal = true
	// The volume has no type: a missing directory is then the wait's to report, not an endless FailedMount of the kubelet's.
	c.mount(volumeSocket, mountPath, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: s.HostPath}})
	c.isVolume = func(v rawjson.Value) bool {
		path, _ := v.Get("hostPath").Get("path").Str()
		return path == s.HostPath
	}
	return c
}

func nodeConnection(prefix string, port int32) *connection {
	c := newConnection(config.TransportNodeTCP, prefix+strconv.Itoa(int(port)))
	c.nodeLocal = true
	c.nodeIPJSON = mustMarshal(corev1.EnvVar{Name: EnvNodeIP, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: fieldHostIP}}})
	return c
}

// tlsConnection puts the files of the Secret into the query of the runner host, as the client reads them from there.
func tlsConnection(t *engine.TLS) *connection {
	if t.SecretName == "" {
		return newConnection(config.TransportTLS, "tls://"+t.Address)
	}
	query := ""
	for _, file := range []struct{ key, name string }{{"ca_path", t.CAFile}, {"cert_path", t.CertFile}, {"key_path", t.KeyFile}} {
		if file.name != "" {
			query += "&" + file.key + "=" + url.QueryEscape(tlsMountPath+"/"+file.name)
		}
	}
	c := newConnection(config.TransportTLS, "tls://"+t.Address+"?"+query[1:])
	c.mount(volumeTLS, tlsMountPath, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: t.SecretName}})
	c.isVolume = func(v rawjson.Value) bool {
		name, _ := v.Get("secret").Get("secretName").Str()
		return name == t.SecretName
	}
	return c
}

func (c *connection) mount(volume, mountPath string, source corev1.VolumeSource) {
	c.volume, c.volumeJSON = volume, mustMarshal(corev1.Volume{Name: volume, VolumeSource: source})
	c.mountPath, c.mountJSON = mountPath, mustMarshal(corev1.VolumeMount{Name: volume, MountPath: mountPath, ReadOnly: true})
}

// connectionFor returns what the container is given: for the socket, at a path that its own mounts cannot hide.
func (i *injection) connectionFor(c *container) *connection {
	shared := i.connection
	if shared.transport != config.TransportSocket {
		return shared
	}
	at := socketMountPath(c, shared.mountPath)
	if at == shared.mountPath {
		return shared
	}
	return socketConnection(i.engine.unixSocket, at)
}

// isHostIP reports whether a variable is the address of the pod's node.
func isHostIP(e rawjson.Value) bool {
	path, _ := e.Get("valueFrom").Get("fieldRef").Get("fieldPath").Str()
	return path == fieldHostIP
}
