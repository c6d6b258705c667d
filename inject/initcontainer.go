package inject

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// initContainer is one of our init containers, encoded once: an object in two halves, between which fields of one pod fit.
// Its fields are those of Kubernetes 0.26, as the webhook of legacy ARC drops newer ones.
type initContainer struct {
	image     string
	resources corev1.ResourceList

	start json.RawMessage
	// The other half in the three shapes that a pod's security decides between; see initContainerUser.
	ownUser, podUser, openShift json.RawMessage
}

// initContainerStart has the fields that are the same for every pod.
type initContainerStart struct {
	Name         string               `json:"name"`
	Image        string               `json:"image"`
	Command      []string             `json:"command"`
	VolumeMounts []corev1.VolumeMount `json:"volumeMounts,omitempty"`
}

func newInitContainer(start *initContainerStart, resources corev1.ResourceList) *initContainer {
	text := mustMarshal(start)
	return &initContainer{
		image:     start.Image,
		resources: resources,
		start:     text[:len(text)-1],
		ownUser:   initContainerEnd(userOwn, resources, nil),
		podUser:   initContainerEnd(userPod, resources, nil),
		openShift: initContainerEnd(userOpenShift, resources, nil),
	}
}

// initContainerEnd has kubectl describe show why a container failed that did not write a message of its own: a copy that finds
// no room, or a wait of another version that does not know a flag.
func initContainerEnd(u user, resources corev1.ResourceList, options *corev1.SELinuxOptions) json.RawMessage {
	security := u.securityContext()
	security.SELinuxOptions = options
	text := mustMarshal(struct {
		Resources                corev1.ResourceRequirements     `json:"resources"`
		TerminationMessagePolicy corev1.TerminationMessagePolicy `json:"terminationMessagePolicy"`
		ImagePullPolicy          corev1.PullPolicy               `json:"imagePullPolicy"`
		SecurityContext          *corev1.SecurityContext         `json:"securityContext"`
	}{
		corev1.ResourceRequirements{Requests: resources, Limits: resources}, corev1.TerminationMessageFallbackToLogsOnError,
		imagePullPolicy, security,
	})
	text[0] = ','
	return text
}

// fit returns the init container for a pod. The fields are JSON members of that pod's own, each after a comma; the options are
// nil for none.
func (t *initContainer) fit(p *pod, ns *Namespace, fields []byte, options *corev1.SELinuxOptions) json.RawMessage {
	return slices.Concat(t.start, fields, t.end(p, ns, options))
}

func (t *initContainer) end(p *pod, ns *Namespace, options *corev1.SELinuxOptions) json.RawMessage {
	u := initContainerUser(p, ns)
	resources, limited := ns.Limits.fit(t.resources)
	resources, bounded := withinPodResources(p, resources)
	if limited || bounded || options != nil {
		return initContainerEnd(u, resources, options)
	}
	switch u {
	case userPod:
		return t.podUser
	case userOpenShift:
		return t.openShift
	}
	return t.ownUser
}

// initContainerUID runs our init containers where the pod names no user: the engine's image has none, and root is not needed.
const initContainerUID = 65532

// user is who decides the uid of our init containers.
type user int

const (
	userOwn user = iota
	userPod
	userOpenShift
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
		// runAsNonRoot is the constraint's too: under one that leaves the uid to the image, it would keep the container from
		// starting, as the engine's image names no user.
		return sc
	}
	sc.RunAsNonRoot = &yes
	sc.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	if u == userOwn {
		sc.RunAsUser = &uid
	}
	return sc
}

// fit raises resources to the minimum and lowers them to the maximum.
func (l *ContainerLimits) fit(wanted corev1.ResourceList) (corev1.ResourceList, bool) {
	if len(l.Min)+len(l.Max) == 0 {
		return wanted, false
	}
	fitted, changed := wanted.DeepCopy(), false
	for name, least := range l.Min {
		if have, set := fitted[name]; !set || have.Cmp(least) < 0 {
			fitted[name], changed = least, true
		}
	}
	for name, most := range l.Max {
		if have, set := fitted[name]; set && have.Cmp(most) > 0 {
			fitted[name], changed = most, true
		}
	}
	return fitted, changed
}

// withinPodResources lowers what the init container asks for to what the pod as a whole has (spec.resources, Kubernetes
// 1.34): a container may not have more than its pod.
func withinPodResources(p *pod, wanted corev1.ResourceList) (corev1.ResourceList, bool) {
	if p.podResources.Len() == 0 {
		return wanted, false
	}
	bounded, changed := wanted.DeepCopy(), false
	for name, quantity := range wanted {
		for _, list := range []string{"requests", "limits"} {
			value := p.podResources.Get(list).Get(string(name))
			text, quoted := value.Str()
			if !quoted && value.Kind() == rawjson.Number {
				text = value.Text()
			}
			most, err := config.ParseQuantity(text)
			if text != "" && err == nil && most.Cmp(quantity) < 0 {
				quantity, changed = most, true
				bounded[name] = most
			}
		}
	}
	return bounded, changed
}
