package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

func (v *validator) engine(e *Engine) {
	v.oneOf("engine.transport", string(e.Transport), string(TransportAuto), string(TransportSocket),
		string(TransportNodeTCP), string(TransportTCP), string(TransportTLS), string(TransportSidecar))
	v.sidecar(&e.Sidecar)
	if e.Socket.HostPath != "" {
		v.absolute("engine.socket.hostPath", e.Socket.HostPath)
	}
	v.absolute("engine.socket.mountPath", e.Socket.MountPath)
	if e.Socket.File == "" || e.Socket.File == "." || e.Socket.File == ".." || strings.ContainsAny(e.Socket.File, "/\x00") {
		v.fail("engine.socket.file", "want a file name without a directory, got %.60q", e.Socket.File)
	}
	// Of these, a client that reads a URL and one that cuts off its scheme make different paths, and Kubernetes expands $(NAME).
	for at, part := range map[string]string{"engine.socket.mountPath": e.Socket.MountPath, "engine.socket.file": e.Socket.File} {
		if strings.ContainsAny(part, "?#%$") {
			v.fail(at, "must not contain ?, #, %% or $, as it becomes part of a URL; got %.100q", part)
		}
	}
	// sun_path has 108 bytes, and the mount may have to move from /run to /var/run.
	if n := len(e.Socket.MountPath) + 1 + len(e.Socket.File); n > 103 {
		v.fail("engine.socket.mountPath", "with the socket's file it has %d bytes, more than the 103 that a Unix socket's path can have", n)
	}
	if n := len(e.Socket.File); n > maxSocketFile {
		v.fail("engine.socket.file", "want at most %d bytes, got %d: the path of a Unix socket is short", maxSocketFile, n)
	}
	if e.Socket.Group < 0 || e.Socket.Group > 1<<31-1 {
		v.fail("engine.socket.group", "want a numeric group from 0 to 2147483647, got %d", e.Socket.Group)
	}
	v.globs("engine.socket.runtimeClasses", e.Socket.RuntimeClasses)
	v.seLinux("engine.socket.seLinuxOptions", &e.Socket.SELinuxOptions)
	if e.NodeTCP.Port < 0 || e.NodeTCP.Port > 65535 {
		v.fail("engine.nodeTCP.port", "want a port from 1 to 65535, got %d", e.NodeTCP.Port)
	}
	if e.TCP.Address != "" {
		v.address("engine.tcp.address", e.TCP.Address)
	}
	if e.TLS.Address != "" || e.Transport == TransportTLS {
		v.address("engine.tls.address", e.TLS.Address)
	}
	v.tlsFiles(&e.TLS)
	if e.TLS.SecretName != "" {
		v.all("engine.tls.secretName", validation.IsDNS1123Subdomain(e.TLS.SecretName))
	}
	if e.Discover.Namespace != "" {
		v.all("engine.discover.namespace", validation.IsDNS1123Label(e.Discover.Namespace))
	}
	v.labelSelector("engine.discover.selector", e.Discover.Selector)
	if version := e.Discover.Version; version != "" && version != "latest" && !semver.IsValid(version) {
		v.fail(FieldEngineVersion, "want a version, as in v0.21 or v0.21.8, or latest, got %.60q", version)
	}
}

// tlsFiles checks the keys of a Secret, which become files.
func (v *validator) tlsFiles(t *TLS) {
	files := map[string]string{"engine.tls.caFile": t.CAFile, "engine.tls.certFile": t.CertFile, "engine.tls.keyFile": t.KeyFile}
	for _, at := range slices.Sorted(maps.Keys(files)) {
		if files[at] != "" {
			v.all(at, validation.IsConfigMapKey(files[at]))
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		v.fail("engine.tls.certFile", "certFile and keyFile go together: the client takes both or neither")
	}
	if t.SecretName != "" && t.CAFile == "" && t.CertFile == "" {
		v.fail("engine.tls.secretName", "the Secret is not used: name a caFile, or certFile and keyFile")
	}
}

func (v *validator) sidecar(s *Sidecar) {
	v.image("engine.sidecar.image", s.Image)
	v.resources("engine.sidecar.resources", &s.Resources)
	c := &s.CacheVolume
	for at, size := range map[string]*resource.Quantity{"sizeLimit": c.SizeLimit, "claimSize": c.ClaimSize} {
		if size != nil && size.Sign() <= 0 {
			v.fail("engine.sidecar.cacheVolume."+at, "want more than zero, got %s", size.String())
		}
	}
	if c.StorageClassName == "" {
		return
	}
	v.all("engine.sidecar.cacheVolume.storageClassName", validation.IsDNS1123Subdomain(c.StorageClassName))
	if c.ClaimSize == nil {
		v.fail("engine.sidecar.cacheVolume.storageClassName", "is the claim's: set claimSize too")
	}
}

// seLinux refuses what no SELinux policy has: the API server lets everything through, and the runtime then starts no container.
func (v *validator) seLinux(at string, o *corev1.SELinuxOptions) {
	for _, part := range []struct{ name, value string }{{"user", o.User}, {"role", o.Role}, {"type", o.Type}} {
		if part.value != "" && !seLinuxName.MatchString(part.value) {
			v.fail(at+"."+part.name, "want a name of letters, digits, underscores, dots and hyphens, as in spc_t, got %.60q", part.value)
		}
	}
	if o.Level != "" && !seLinuxLevel.MatchString(o.Level) {
		v.fail(at+".level", "want an MLS or MCS level, as in s0 or s0:c123,c456, got %.60q", o.Level)
	}
}

var (
	seLinuxName  = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,255}$`)
	seLinuxLevel = regexp.MustCompile(`^[A-Za-z0-9:,.-]{1,255}$`)
)
