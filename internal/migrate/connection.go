package migrate

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// The ways in which a container may be wired to an engine.
const (
	bySocket  = "socket"
	bySidecar = "sidecar"
	byTCP     = "tcp"
	byTLS     = "tls"
	byKubePod = "kube-pod"
	byOther   = "other"
)

// theNode stands for the address of the pod's node.
const theNode = "the node"

// connection is how a container reaches an engine.
type connection struct {
	by string
	// engine identifies what it reaches, whatever the container calls it.
	engine string
	// host is the runner host as the container has it.
	host string
	// at is where the container sees the socket.
	at string
	// volumes are the names of the volumes that it goes through, and image that of a sidecar.
	volumes []string
	image   string
	tls     tlsFiles
}

// tlsFiles are the Secret with the client's files, and their keys in it.
type tlsFiles struct{ secret, ca, cert, key string }

// String describes the connection.
func (c *connection) String() string {
	if c == nil {
		return "no engine"
	}
	switch c.by {
	case bySocket:
		return fmt.Sprintf("the node's socket %s, at %s", c.engine, c.at)
	case bySidecar:
		return fmt.Sprintf("an engine of the pod's own (%s), at %s", c.image, c.at)
	}
	return c.engine
}

// variable returns the last variable of a name in a container, the one that counts.
func variable(c *corev1.Container, name string) *corev1.EnvVar {
	for i := len(c.Env) - 1; i >= 0; i-- {
		if c.Env[i].Name == name {
			return &c.Env[i]
		}
	}
	return nil
}

// expand replaces references to variables of the container that are the node's address.
func expand(c *corev1.Container, value string) string {
	for _, e := range c.Env {
		with := e.Value
		switch {
		case e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "status.hostIP":
			with = theNode
		case e.ValueFrom != nil:
			continue
		}
		value = strings.ReplaceAll(value, "$("+e.Name+")", with)
	}
	return value
}

// connectionOf returns how a container's variable leads to an engine; nil without the variable.
func connectionOf(pod *corev1.Pod, c *corev1.Container) *connection {
	e := variable(c, inject.EnvRunnerHost)
	if e == nil {
		return nil
	}
	if e.ValueFrom != nil {
		return &connection{by: byOther, engine: "what " + sourceOf(e.ValueFrom) + " says"}
	}
	host := expand(c, e.Value)
	scheme, rest, _ := strings.Cut(host, "://")
	switch scheme {
	case "unix":
		return socketOf(pod, c, host, path.Clean("/"+strings.TrimLeft(rest, "/")))
	case "tcp":
		return tcpOf(pod, host, rest)
	case "tls":
		return tlsOf(pod, c, host, rest)
	case "kube-pod":
		return &connection{by: byKubePod, engine: host + ", through the API server", host: host}
	}
	return &connection{by: byOther, engine: host, host: host}
}

func sourceOf(from *corev1.EnvVarSource) string {
	switch {
	case from.ConfigMapKeyRef != nil:
		return fmt.Sprintf("ConfigMap %s, key %s,", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key)
	case from.SecretKeyRef != nil:
		return fmt.Sprintf("Secret %s, key %s,", from.SecretKeyRef.Name, from.SecretKeyRef.Key)
	}
	return "a field of the pod"
}

// mountFor returns the container's mount that a path lies in, and the rest of the path.
func mountFor(c *corev1.Container, at string) (mount *corev1.VolumeMount, rest string) {
	length := -1
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		own := resolveRun(path.Clean(m.MountPath))
		below, inside := strings.CutPrefix(resolveRun(at), own)
		if own == "/" {
			below, inside = resolveRun(at), true
		}
		if inside && (below == "" || below[0] == '/') && len(own) >= length {
			mount, rest, length = m, below, len(own)
		}
	}
	return mount, rest
}

// resolveRun follows the symbolic link from /var/run to /run, as most images and nodes have it.
func resolveRun(at string) string {
	if rest, ok := strings.CutPrefix(at, "/var/run"); ok && (rest == "" || rest[0] == '/') {
		return "/run" + rest
	}
	return at
}

func volumeOf(pod *corev1.Pod, name string) *corev1.Volume {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Name == name {
			return &pod.Spec.Volumes[i]
		}
	}
	return nil
}

func socketOf(pod *corev1.Pod, c *corev1.Container, host, at string) *connection {
	mount, rest := mountFor(c, at)
	if mount == nil {
		return &connection{by: byOther, engine: at + ", which nothing of the pod's mounts", host: host, at: at}
	}
	volume := volumeOf(pod, mount.Name)
	switch {
	case volume != nil && volume.HostPath != nil:
		onNode := path.Clean(volume.HostPath.Path + "/" + mount.SubPath + rest)
		return &connection{by: bySocket, engine: resolveRun(onNode), host: host, at: at, volumes: []string{mount.Name}}
	case volume != nil:
		if own := sidecarOf(pod); own != nil {
			return &connection{by: bySidecar, engine: "the pod's own", host: host, at: at, volumes: []string{mount.Name}, image: own.Image}
		}
	}
	return &connection{by: byOther, engine: at + ", in the volume " + mount.Name, host: host, at: at}
}

func tcpOf(pod *corev1.Pod, host, address string) *connection {
	name := address[:max(strings.LastIndexByte(address, ':'), 0)]
	if own := sidecarOf(pod); own != nil && (name == "localhost" || name == "127.0.0.1" || name == "[::1]") {
		return &connection{by: bySidecar, engine: "the pod's own", host: host, at: host, image: own.Image}
	}
	return &connection{by: byTCP, engine: "tcp://" + strings.ReplaceAll(address, "["+theNode+"]", theNode), host: host}
}

func tlsOf(pod *corev1.Pod, c *corev1.Container, host, rest string) *connection {
	address, query, _ := strings.Cut(rest, "?")
	files, _ := url.ParseQuery(query)
	conn := &connection{by: byTLS, host: host}
	for parameter, key := range map[string]*string{"ca_path": &conn.tls.ca, "cert_path": &conn.tls.cert, "key_path": &conn.tls.key} {
		file := files.Get(parameter)
		if file == "" {
			continue
		}
		mount, below := mountFor(c, path.Clean(file))
		if mount == nil {
			continue
		}
		if v := volumeOf(pod, mount.Name); v != nil && v.Secret != nil && len(v.Secret.Items) == 0 {
			conn.tls.secret = v.Secret.SecretName
			*key = strings.TrimPrefix(below, "/")
			if mount.SubPath != "" {
				*key = mount.SubPath
			}
			conn.volumes = append(conn.volumes, mount.Name)
		}
	}
	conn.engine = "tls://" + address
	if conn.tls.secret != "" {
		conn.engine += fmt.Sprintf(" with %s, %s and %s of Secret %s", conn.tls.ca, conn.tls.cert, conn.tls.key, conn.tls.secret)
	}
	return conn
}

// sidecarOf returns the container in which the pod runs an engine of its own; nil without one.
func sidecarOf(pod *corev1.Pod) *corev1.Container {
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; isEngineSidecar(c, false) {
			return c
		}
	}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; isEngineSidecar(c, true) {
			return c
		}
	}
	return nil
}

// isEngineSidecar reports whether a container runs an engine: it is privileged, as an engine must be, and a container that
// merely copies the command out of the engine's image is not.
func isEngineSidecar(c *corev1.Container, init bool) bool {
	if init && (c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways) {
		return false
	}
	return engine.IsEngineImage(c.Image) && c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged
}
