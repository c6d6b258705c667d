package inject

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// initContainerEngine has the name of the engine's container in Dagger's own chart.
	initContainerEngine = "dagger-engine"
	volumeCache         = "dagger-inject-cache"

	// Where an engine listens and keeps its state if nothing tells it otherwise (dagger, v0.17 and later).
	engineRunDir    = "/run/dagger"
	engineSocket    = "engine.sock"
	engineStateDir  = "/var/lib/dagger"
	ephemeralSource = "ephemeral"
)

// sidecar is an engine of the pod's own, encoded once.
type sidecar struct {
	connection *connection
	container  *initContainer
	cache      json.RawMessage
	claims     bool // the cache is not on the node's disk
}

// compileSidecars returns the engines of their own that pods can be given, the preferred first: that of the image that the policy
// names, else one like each of the engines that are discovered. There are none where nobody may ask for one.
func compileSidecars(policy *Policy, c *config.InjectionPolicy, found []*engine.Discovered) []*compiledEngine {
	if c.Engine.Transport != config.TransportSidecar && !policy.podMaySet(config.FieldSidecar) {
		return nil
	}
	var like []engine.Engine
	if image := c.Engine.Sidecar.Image; image != "" || len(found) == 0 {
		like = []engine.Engine{{Identity: engine.Identity{Version: engine.ImageVersion(image)}, Image: image}}
	} else {
		for _, d := range found {
			like = append(like, engine.Engine{Identity: d.Identity, Image: d.Image, PullSecrets: d.ImagePullSecrets})
		}
		slices.SortStableFunc(like, func(a, b engine.Engine) int { return engine.Compare(&a.Identity, &b.Identity) })
	}
	compiled := make([]*compiledEngine, len(like))
	for i := range like {
		compiled[i] = compileEngine(policy, c, &like[i])
		if image := like[i].Image; image != "" {
			compiled[i].sidecar = newSidecar(c, image)
		}
	}
	return compiled
}

func newSidecar(c *config.InjectionPolicy, image string) *sidecar {
	privileged, root, group, no := true, int64(0), c.Engine.Socket.Group, false
	return &sidecar{
		connection: sidecarConnection(c.Engine.Socket.MountPath, group),
		container: newSidecarContainer(&initContainerStart{
			Name: initContainerEngine, Image: image, RestartPolicy: corev1.ContainerRestartPolicyAlways,
			VolumeMounts: []corev1.VolumeMount{
				{Name: volumeSocket, MountPath: engineRunDir},
				{Name: volumeCache, MountPath: engineStateDir},
			},
		}, c.Engine.Sidecar.Resources.Requests, &corev1.SecurityContext{
			// The pod's own security context may say otherwise of all of its containers. The group is that of the socket.
			Privileged: &privileged, RunAsUser: &root, RunAsGroup: &group, RunAsNonRoot: &no,
		}),
		cache: mustMarshal(cacheVolume(&c.Engine.Sidecar.CacheVolume)), claims: c.Engine.Sidecar.CacheVolume.ClaimSize != nil,
	}
}

func cacheVolume(c *config.CacheVolume) *corev1.Volume {
	volume := &corev1.Volume{Name: volumeCache}
	if c.ClaimSize == nil {
		volume.EmptyDir = &corev1.EmptyDirVolumeSource{SizeLimit: c.SizeLimit}
		return volume
	}
	claim := corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: *c.ClaimSize}},
	}
	if c.StorageClassName != "" {
		claim.StorageClassName = &c.StorageClassName
	}
	volume.Ephemeral = &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
		ObjectMeta: metav1.ObjectMeta{}, Spec: claim,
	}}
	return volume
}

// sidecarConnection leads to a socket in a folder that the engine's container shares with the others.
func sidecarConnection(mountPath string, group int64) *connection {
	c := newConnection(config.TransportSidecar, "unix://"+mountPath+"/"+engineSocket)
	c.group = group
	c.mount(volumeSocket, mountPath, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
	c.isVolume = func(v rawjson.Value) bool { return v.Get(emptyDirSource).IsSet() }
	c.spare, c.mountedAt = "run", func(mountPath string) *connection { return sidecarConnection(mountPath, group) }
	return c
}

// offers returns the connection to the engine of the pod's own, nil where there is no image for one.
func (s *sidecar) offers() *connection {
	if s == nil {
		return nil
	}
	return s.connection
}

// sameSidecar returns other if the two are equal.
func sameSidecar(made, other *sidecar) *sidecar {
	if made == nil || other == nil || made.connection.host != other.connection.host || made.connection.group != other.connection.group ||
		string(made.cache) != string(other.cache) || same(made.container, other.container) != other.container {
		return made
	}
	return other
}

// addSidecar adds the engine's container and the volume with its cache. It comes before the init container that waits for it.
func (i *injection) addSidecar(spec, volumes *patch.Cursor) *obstacle {
	s := i.engine.sidecar
	i.status.InitContainers = append(i.status.InitContainers, initContainerEngine)
	i.status.EngineImage = s.container.image
	if i.pod.containerNamed(initContainerEngine) != nil {
		return conflict("a container %s", initContainerEngine)
	}
	if o := i.addVolume(volumes, volumeCache, s.cache, isCache); o != nil {
		return o
	}
	if c := i.pod.initContainerNamed(initContainerEngine); c != nil {
		if !mounts(c, volumeSocket) {
			return conflict("an init container %s", initContainerEngine)
		}
		return nil
	}
	spec.Member("initContainers").Prepend(s.container.fit(i.pod, i.namespace, nil, nil))
	return nil
}

func isCache(v rawjson.Value) bool {
	return v.Get(emptyDirSource).IsSet() || v.Get(ephemeralSource).IsSet()
}

// warnAboutCache tells of a limit on the pod that the cache of its engine counts against.
func (i *injection) warnAboutCache(plan *Plan) {
	if i.connection.transport != config.TransportSidecar || i.engine.sidecar.claims {
		return
	}
	if limit, limited := i.pod.storageLimit(); limited {
		plan.warn("the cache of the pod's engine counts against the pod's limits of ephemeral-storage, " + limit.String() +
			", and the kubelet evicts a pod that uses more: raise the limits of its containers, or set " +
			"engine.sidecar.cacheVolume.claimSize.")
	}
}

// noSidecar returns why a pod cannot have an engine of its own, nil where it can. What Pod Security, or OpenShift, refuses must
// not be created; and legacy ARC's webhook, built for Kubernetes 0.26, strips the field that makes an init container a sidecar,
// so that the pod would wait for its engine's end.
func (c *choice) noSidecar(e *compiledEngine) *obstacle {
	switch {
	case c.privilegedForbidden != "":
		return obstructf(ReasonPrivilegedForbidden, "privileged containers are forbidden by %s", c.privilegedForbidden)
	case c.system == SystemARCLegacy:
		return &obstacle{ReasonSidecarStripped, ""}
	case e.sidecar == nil:
		return &obstacle{ReasonNoEngine, "engine.sidecar.image names none, and no engine's image is read off the cluster"}
	}
	return nil
}
