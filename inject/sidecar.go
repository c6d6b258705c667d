package inject

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
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
	claims     bool               // the cache is not on the node's disk
	sizeLimit  *resource.Quantity // of the cache on the node's disk, nil for none
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
		// Of one that drains the image alone is taken, and only if there is no other.
		slices.SortStableFunc(like, func(a, b engine.Engine) int {
			if a.Draining != b.Draining {
				return map[bool]int{true: 1, false: -1}[a.Draining]
			}
			return engine.Compare(&a.Identity, &b.Identity)
		})
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
		sizeLimit: c.Engine.Sidecar.CacheVolume.SizeLimit,
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

// conn returns the connection to the engine of the pod's own, nil where there is no image for one.
func (s *sidecar) conn() *connection {
	if s == nil {
		return nil
	}
	return s.connection
}

// sameSidecar returns other if the two are equal, and shares its parts if only those are.
func sameSidecar(made, other *sidecar) *sidecar {
	if made != nil && other != nil {
		made.connection = sameConnection(made.connection, other.connection)
		made.container = same(made.container, other.container)
	}
	return same(made, other)
}

// addSidecar adds the engine's container and the volume with its cache. It comes before the init container that waits for it.
func (i *injection) addSidecar(spec, volumes *patch.Cursor) *obstacle {
	s := i.engine.sidecar
	i.status.InitContainers = append(i.status.InitContainers, initContainerEngine)
	i.status.EngineImage = s.container.image
	ours, _ := s.container.resourcesFor(i.pod, i.namespace)
	if o := i.exceedsPodLimits(ours); o != nil {
		return o
	}
	if i.pod.containerNamed(initContainerEngine) != nil {
		return conflict("a container %s", initContainerEngine)
	}
	if o := i.addVolume(volumes, volumeCache, s.cache, isCache); o != nil {
		return o
	}
	if c := i.pod.initContainerNamed(initContainerEngine); c != nil {
		if !isOurInitContainer(c) {
			return conflict("an init container %s", initContainerEngine)
		}
		i.status.EngineImage = c.image
		return nil
	}
	spec.Member("initContainers").Prepend(s.container.fit(i.pod, i.namespace, nil, nil, nil))
	return nil
}

func isCache(v rawjson.Value) bool {
	return v.Get(emptyDirSource).IsSet() || v.Get(ephemeralSource).IsSet()
}

// warnAboutSidecar tells of what may keep the pod's own engine from its work.
func (i *injection) warnAboutSidecar(plan *Plan) {
	if i.connection.transport != config.TransportSidecar {
		return
	}
	s := i.engine.sidecar
	for _, name := range [...]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		wanted, most := s.container.resources[name], i.namespace.Limits.Max[name]
		if !most.IsZero() && most.Cmp(wanted) < 0 && !i.pod.isBestEffort() {
			plan.warn(fmt.Sprintf("the pod's own engine gets %s of %s, as a LimitRange of the namespace allows a container, and not the %s of "+
				"engine.sidecar.resources.", most.String(), name, wanted.String()))
		}
	}
	if i.pod.ownUsers || ownKernel(i.pod, i.policy.runtimeClasses) != "" {
		plan.warn("the pod's own engine needs a privileged container, and may be unable to run in a sandbox: the pod has a runtime class that " +
			"is not among engine.socket.runtimeClasses, or hostUsers: false.")
	}
	limit, limited := i.pod.storageLimit()
	limit.Add(s.container.resources[corev1.ResourceEphemeralStorage])
	if limited && !s.claims && (s.sizeLimit == nil || limit.Cmp(*s.sizeLimit) < 0) {
		plan.warn("the cache of the pod's engine counts against the pod's limits of ephemeral-storage, " + limit.String() +
			", and the kubelet evicts a pod that uses more: raise the limits of its containers, or set " +
			"engine.sidecar.cacheVolume.claimSize.")
	}
}

// exceedsPodLimits returns an obstacle if the pod would have more than a LimitRange allows a pod, for which the API server answers 403.
// A sidecar runs beside the containers, so that its limits add to theirs; our other init containers run before them.
func (i *injection) exceedsPodLimits(ours corev1.ResourceList) *obstacle {
	for name, own := range ours {
		most, bounded := i.namespace.Limits.PodMax[name]
		if !bounded {
			continue
		}
		sum := own.DeepCopy()
		for n := range i.pod.containers {
			limit, _ := i.pod.containers[n].limitOf(name)
			sum.Add(limit)
		}
		for n := range i.pod.initContainers {
			c := &i.pod.initContainers[n]
			if c.runsOn() && !isOurInitContainer(c) {
				limit, _ := c.limitOf(name)
				sum.Add(limit)
			}
		}
		if sum.Cmp(most) > 0 {
			return obstructf(ReasonPodTooLarge,
				"with the limits of its own engine it would have %s of %s, and a LimitRange of the namespace allows "+
					"a pod %s: lower engine.sidecar.resources", sum.String(), name, most.String())
		}
	}
	return nil
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
		detail := "engine.sidecar.image names none, and no engine's image is read off the cluster"
		if c.policy.discoverErr != nil {
			detail += ": " + c.policy.discoverErr.Error()
		}
		return &obstacle{ReasonNoEngine, detail}
	}
	if because := c.pod.lacksGroup(e.sidecar.connection.group); because != "" {
		return &obstacle{ReasonSandboxed, because}
	}
	return nil
}
