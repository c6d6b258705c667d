package engine

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Discovered is what can be read of a Dagger Engine off the workload that runs it. A part that the engine does not have is
// nil or empty.
type Discovered struct {
	Identity
	// Image is the engine container's image reference.
	Image string `json:"image"`
	// Group is the numeric group that may connect to the socket.
	Group *int64 `json:"group,omitempty"`
	// Socket is the engine's socket on each node that runs it.
	Socket *SocketOnNode `json:"socket,omitempty"`
	// TCP is the port that the engine listens on.
	TCP *Port `json:"tcp,omitempty"`
	// NodeTCP is the port of the node that leads to it.
	NodeTCP *Port `json:"nodeTCP,omitempty"`
	// Service is the Service in front of it.
	Service *Service `json:"service,omitempty"`
	// Replicas are set for a StatefulSet with several replicas: each is an engine with an address of its own.
	Replicas *Replicas `json:"replicas,omitempty"`
	// ImagePullSecrets are the names of the Secrets that the image is pulled with.
	ImagePullSecrets []string `json:"imagePullSecrets,omitempty"`
	// Tolerations, NodeSelector and NodeAffinity are those of the workload's pod template.
	Tolerations  []corev1.Toleration  `json:"tolerations,omitempty"`
	NodeSelector map[string]string    `json:"nodeSelector,omitempty"`
	NodeAffinity *corev1.NodeAffinity `json:"nodeAffinity,omitempty"`

	// Notes say why the engine does not offer something that its workload seems to offer.
	Notes []string `json:"-"`
}

// Identity distinguishes an engine from others, and has what engines are compared by.
type Identity struct {
	// Workload is the DaemonSet, StatefulSet or Deployment.
	Workload Workload `json:"workload"`
	// Version is vX.Y.Z, from the image's tag, else from the chart's label; empty if neither says.
	Version string `json:"version,omitempty"`
	// Rollout is how many of its replicas are ready; nil if its status does not say yet.
	Rollout *Rollout `json:"rollout,omitempty"`
	// Draining is true if the workload is marked as draining: only pods that ask for this very engine get it.
	Draining bool `json:"draining,omitempty"`
}

// Workload identifies a workload.
type Workload struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String returns the workload as Kind namespace/name.
func (w Workload) String() string { return w.Kind + " " + w.Namespace + "/" + w.Name }

// SocketOnNode is a socket in a directory of the node.
type SocketOnNode struct {
	HostPath string `json:"hostPath"`
	File     string `json:"file"`
}

// Port is a TCP port.
type Port struct {
	Port int32 `json:"port"`
}

// Service is a Service in front of engines. The Dagger client opens several connections a session, so it is safe only where
// all of a pod's connections reach the same engine (dagger#10128).
type Service struct {
	Address string `json:"address"`
	Safe    bool   `json:"safe"`
	Reason  string `json:"reason"`

	nodeLocal bool
}

// containerName is what the official chart has always named the engine's container.
const containerName = "dagger-engine"

// IsEngineImage recognises registry.dagger.io/engine, and .../dagger/engine in any registry.
func IsEngineImage(image string) bool {
	repository, _ := splitImage(image)
	return repository == "registry.dagger.io/engine" || repository == "dagger/engine" || strings.HasSuffix(repository, "/dagger/engine")
}

// splitImage returns an image reference's repository and tag.
func splitImage(image string) (repository, tag string) {
	image, _, _ = strings.Cut(image, "@")
	if at := strings.LastIndexByte(image, ':'); at > strings.LastIndexByte(image, '/') {
		return image[:at], image[at+1:]
	}
	return image, ""
}

func read(c *candidate, services []corev1.Service) *Discovered {
	spec, engine := &c.template.Spec, c.engine
	d := &Discovered{
		Identity:     c.Identity,
		Image:        engine.Image,
		Group:        group(spec, engine),
		Tolerations:  spec.Tolerations,
		NodeSelector: spec.NodeSelector,
	}
	for _, secret := range spec.ImagePullSecrets {
		d.ImagePullSecrets = append(d.ImagePullSecrets, secret.Name)
	}
	if spec.Affinity != nil {
		d.NodeAffinity = spec.Affinity.NodeAffinity
	}
	listen := addresses(engine)
	d.Socket = d.readSocket(c, engine, listen)
	if d.TCP = d.readTCP(listen); d.TCP != nil {
		d.NodeTCP = nodePort(c, engine, d.TCP.Port)
		d.Service = service(c, engine, d.TCP.Port, services)
		d.Replicas = d.readReplicas(c, services)
	} else if len(engine.Ports) > 0 {
		d.note("the container names a port, but no --addr tcp:// opens it")
	}
	return d
}

func (d *Discovered) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// group returns the group that may connect to the engine's socket: --group, else the group that the engine runs as.
func group(spec *corev1.PodSpec, engine *corev1.Container) *int64 {
	for _, value := range flagValues(engine, "group") {
		if gid, err := strconv.ParseInt(value, 10, 64); err == nil {
			return &gid
		}
	}
	if engine.SecurityContext != nil && engine.SecurityContext.RunAsGroup != nil {
		return engine.SecurityContext.RunAsGroup
	}
	if spec.SecurityContext != nil {
		return spec.SecurityContext.RunAsGroup
	}
	return nil
}

// flagValues returns a flag's values in the container's command line, in both of the forms --flag value and --flag=value.
func flagValues(c *corev1.Container, flag string) []string {
	var values []string
	line := slices.Concat(c.Command, c.Args)
	for i, word := range line {
		if value, ok := strings.CutPrefix(word, "--"+flag+"="); ok {
			values = append(values, value)
		} else if word == "--"+flag && i+1 < len(line) {
			values = append(values, line[i+1])
		}
	}
	return values
}

// addresses returns the engine's --addr flags. Without any, the engine listens on its default, the socket.
func addresses(engine *corev1.Container) []string { return flagValues(engine, "addr") }

// socketPlaces are the directories and file names of engines' sockets (chart v0.17.0 moved and renamed the socket).
var socketPlaces = map[string]string{
	"/run/dagger": "engine.sock", "/var/run/dagger": "engine.sock",
	"/run/buildkit": "buildkitd.sock", "/var/run/buildkit": "buildkitd.sock",
}

func (d *Discovered) readSocket(c *candidate, engine *corev1.Container, listen []string) *SocketOnNode {
	if len(listen) > 0 && !slices.ContainsFunc(listen, func(address string) bool { return strings.HasPrefix(address, "unix://") }) {
		d.note("it listens on no socket: its --addr name none")
		return nil
	}
	for _, mount := range engine.VolumeMounts {
		file, known := socketPlaces[path.Clean(mount.MountPath)]
		if !known {
			continue
		}
		for _, volume := range c.template.Spec.Volumes {
			if volume.Name != mount.Name || volume.HostPath == nil {
				continue
			}
			if c.Workload.Kind != "DaemonSet" {
				d.note("its socket, %s/%s, is on one node only: a %s does not run on each", volume.HostPath.Path, file, c.Workload.Kind)
				return nil
			}
			return &SocketOnNode{HostPath: path.Clean(volume.HostPath.Path), File: file}
		}
	}
	d.note("no directory of the node is mounted where its socket is")
	return nil
}
