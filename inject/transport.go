package inject

import (
	"encoding/json"
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

// socketMountPath returns where the socket's directory is mounted in a container. Runtimes order mounts by depth only, and
// /var/run is a symbolic link to /run in most images: a container's own mount that may come after ours at the same place
// would hide it. There, the path below that mount is used, which is deeper and so always comes after.
func socketMountPath(c *container, wanted string) string {
	path := wanted
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		if name, _ := mount.Get("name").Str(); name == volumeSocket {
			continue
		}
		at, _ := mount.Get("mountPath").Str()
		at = strings.TrimRight(at, "/")
		rest, below := strings.CutPrefix(resolveRun(wanted), resolveRun(at)+"/")
		if below && at != "" && strings.Count(at, "/") >= strings.Count(path, "/") {
			path = at + "/" + rest
		}
	}
	return path
}

// resolveRun follows the symbolic link from /var/run to /run.
func resolveRun(path string) string {
	if rest, ok := strings.CutPrefix(path, "/var/run"); ok && (rest == "" || rest[0] == '/') {
		return "/run" + rest
	}
	return path
}

// mountAt returns the container's mount at that path, links resolved, or the zero Value.
func (c *container) mountAt(path string) rawjson.Value {
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		at, _ := mount.Get("mountPath").Str()
		if resolveRun(strings.TrimRight(at, "/")) == resolveRun(path) {
			return mount
		}
	}
	return rawjson.Value{}
}

func (policy *Policy) socketVolume() json.RawMessage {
	return mustMarshal(corev1.Volume{
		Name: volumeSocket,
		// No type: a missing directory is then the wait's to report, not an endless FailedMount of the kubelet's.
		VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: policy.engine.Socket.HostPath}},
	})
}

func socketMount(path string) json.RawMessage {
	return mustMarshal(corev1.VolumeMount{Name: volumeSocket, MountPath: path, ReadOnly: true})
}
