package inject

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// initContainer is one of our init containers, encoded once, in two halves: the fields that depend on the pod go between them. All
// fields exist in Kubernetes 0.26, because the webhook of legacy ARC drops newer ones. The exception is a sidecar's restartPolicy.
type initContainer struct {
	image string
	// resources are those of a pod that has some, and least those of a BestEffort pod.
	resources, least corev1.ResourceList
	// security is a sidecar's, the same for every pod. It is nil if the pod's own security context decides.
	security *corev1.SecurityContext

	start json.RawMessage
	// mounts are those of every pod, with a comma between them.
	mounts []byte
	// ample are the resources without a limit of CPU, which begin the second half, and bestEffort those that a BestEffort pod may have.
	ample, bestEffort json.RawMessage
	// ends are what follows the resources, for each user that initContainerUser returns.
	ends [users]json.RawMessage
}

// initContainerStart has the fields that are the same for every pod.
type initContainerStart struct {
	Name         string               `json:"name"`
	Image        string               `json:"image"`
	Command      []string             `json:"command,omitempty"`
	VolumeMounts []corev1.VolumeMount `json:"-"`

	RestartPolicy corev1.ContainerRestartPolicy `json:"restartPolicy,omitempty"`
}

func newInitContainer(start *initContainerStart, resources corev1.ResourceList) *initContainer {
	return newSidecarContainer(start, resources, nil)
}

func newSidecarContainer(start *initContainerStart, resources corev1.ResourceList, security *corev1.SecurityContext) *initContainer {
	text := mustMarshal(start)
	t := &initContainer{image: start.Image, resources: resources, least: bestEffort(resources), security: security, start: text[:len(text)-1]}
	for _, mount := range start.VolumeMounts {
		t.mounts = appendElement(t.mounts, mustMarshal(mount))
	}
	for u := range users {
		t.ends[u] = t.encodeEnd(u, nil)
	}
	limits := maps.Clone(resources)
	if security == nil {
		delete(limits, corev1.ResourceCPU)
	}
	t.ample = encodeResources(resources, limits)
	t.bestEffort = encodeResources(t.least, t.least)
	return t
}

// encodeEnd encodes what follows the resources. Its terminationMessagePolicy has kubectl describe show why a container failed
// that wrote no message itself: a copy that finds no room, or a wait of another version that does not know a flag.
func (t *initContainer) encodeEnd(u user, options *corev1.SELinuxOptions) json.RawMessage {
	security := t.security
	if security == nil {
		security = u.securityContext()
		security.SELinuxOptions = options
	}
	text := mustMarshal(struct {
		TerminationMessagePolicy corev1.TerminationMessagePolicy `json:"terminationMessagePolicy"`
		ImagePullPolicy          corev1.PullPolicy               `json:"imagePullPolicy"`
		SecurityContext          *corev1.SecurityContext         `json:"securityContext"`
	}{corev1.TerminationMessageFallbackToLogsOnError, imagePullPolicy, security})
	text[0] = ','
	return text
}

// encodeResources encodes the first member of the second half.
func encodeResources(requests, limits corev1.ResourceList) json.RawMessage {
	return append([]byte(`,"resources":`), mustMarshal(corev1.ResourceRequirements{Requests: requests, Limits: limits})...)
}

// fit returns the init container for a pod. The fields are JSON members that depend on the pod, each after a comma, and the mount is one
// that does. All three may be nil.
func (t *initContainer) fit(p *pod, ns *Namespace, fields, mount []byte, options *corev1.SELinuxOptions) json.RawMessage {
	u := initContainerUser(p, ns)
	end := t.ends[u]
	if options != nil {
		end = t.encodeEnd(u, options)
	}
	mounts := appendElement(appendElement(slices.Clip(t.mounts), mount), p.tokenMount())
	if len(mounts) > 0 {
		mounts = slices.Concat([]byte(`,"volumeMounts":[`), mounts, []byte("]"))
	}
	return slices.Concat(t.start, fields, mounts, t.resourcesJSON(p, ns), end)
}

// appendElement appends an element to those of a list. It may be empty for none.
func appendElement(list, element []byte) []byte {
	if len(list) > 0 && len(element) > 0 {
		list = append(list, ',')
	}
	return append(list, element...)
}

// resourcesJSON returns the resources in a pod.
func (t *initContainer) resourcesJSON(p *pod, ns *Namespace) json.RawMessage {
	resources, fitted := t.resourcesFor(p, ns)
	isSidecar := t.security != nil
	_, storage := resources[corev1.ResourceEphemeralStorage]
	switch {
	case fitted || storage:
	case p.isBestEffort():
		return t.bestEffort
	case isSidecar || !ns.Limits.LimitsCPU && !p.cpu().limited:
		return t.ample
	}
	requests, limits := resources, resources
	if !isSidecar {
		requests, limits = withCPULimit(p, ns, resources)
	}
	return encodeResources(requests, withoutStorageLimit(p, limits))
}

// resourcesFor returns the requests in a pod, and whether they are others than its class alone makes them.
func (t *initContainer) resourcesFor(p *pod, ns *Namespace) (resources corev1.ResourceList, fitted bool) {
	wanted := t.resources
	if p.isBestEffort() {
		wanted = t.least
	}
	resources, limited := ns.Limits.fit(wanted)
	within := withinPodResources
	if t.security != nil {
		within = besidePodResources
	}
	resources, bounded := within(p, resources)
	return resources, limited || bounded
}

// initContainerUID runs our init containers where the pod names no user: the engine's image has none, and root is not needed.
const initContainerUID = 65532

// user is who decides the uid of our init containers.
type user int

const (
	userOwn user = iota
	userPod
	userOpenShift
	users // how many there are
)

// initContainerUser leaves the uid to a pod-level runAsUser that is not root, and on OpenShift to the
// SecurityContextConstraint, which refuses any other.
func initContainerUser(p *pod, ns *Namespace) user {
	if ns.isOpenShift() {
		return userOpenShift
	}
	if uid, ok := p.securityContext.Get("runAsUser").Int64(); ok && uid != 0 {
		return userPod
	}
	return userOwn
}

// securityContext satisfies the Pod Security level restricted.
func (u user) securityContext() *corev1.SecurityContext {
	no, yes, uid := false, true, int64(initContainerUID)
	sc := &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no,
		ReadOnlyRootFilesystem:   &yes,
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if u == userOpenShift {
		// The constraint also decides runAsNonRoot. If it leaves the uid to the image, runAsNonRoot would keep the container from
		// starting, because the engine's image names no user.
		return sc
	}
	sc.RunAsNonRoot = &yes
	sc.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	if u == userOwn {
		sc.RunAsUser = &uid
	}
	return sc
}
