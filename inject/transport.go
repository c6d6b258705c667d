package inject

import (
	"encoding/json"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// EnvRunnerHost tells the Dagger client where its engine is (dagger, engine/client; still its name in the 1.0 betas).
	EnvRunnerHost = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
	// EnvCLIBin tells Dagger's SDKs to use this CLI instead of downloading one.
	EnvCLIBin = "_EXPERIMENTAL_DAGGER_CLI_BIN"
	// envCloudEngine makes the client ignore the runner host by its mere presence (dagger, engine/client).
	envCloudEngine = "DAGGER_CLOUD_ENGINE"

	volumeSocket = "dagger-inject-socket"
)

// chooseTransport returns how the pod reaches the engine, or why it cannot.
func (policy *Policy) chooseTransport(wanted config.Transport, ns *Namespace) (config.Transport, Reason, string) {
	by, forbidden := ns.forbidsHostPath(policy.config.PodSecurity)
	switch {
	case wanted == config.TransportTCP && policy.engine.TCP == nil:
		return "", ReasonNoEngine, "the transport is tcp, and there is no engine.tcp.address"
	case wanted == config.TransportTCP, wanted == config.TransportAuto && policy.engine.Socket == nil && policy.engine.TCP != nil:
		return config.TransportTCP, "", ""
	case policy.engine.Socket == nil:
		return "", ReasonNoEngine, ""
	case !forbidden:
		return config.TransportSocket, "", ""
	case wanted == config.TransportAuto && policy.engine.TCP != nil:
		return config.TransportTCP, "", ""
	}
	return "", ReasonHostPathForbidden, "hostPath volumes are forbidden by " + by
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

func (policy *Policy) socketVolume() json.RawMessage {
	return mustMarshal(corev1.Volume{
		Name: volumeSocket,
		// No type: a missing directory is then the wait's to report, not an endless FailedMount of the kubelet's.
		VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: policy.engine.Socket.HostPath}},
	})
}

func socketMount(at string) json.RawMessage {
	return mustMarshal(corev1.VolumeMount{Name: volumeSocket, MountPath: at, ReadOnly: true})
}
