package inject

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	initContainerCLI = "dagger-cli"
	volumeCLI        = "dagger-inject-cli"

	// cliInImage is where the engine's image has the CLI since v0.12.5.
	cliInImage = "/usr/local/bin/dagger"
	cliCopyDir = "/dagger-inject"
	cliFile    = "dagger"

	// cliUser runs the copy where the pod names no user: the engine's image has none, and root is not needed.
	cliUser = 65532

	// annotationSafeToEvict names volumes that do not keep the cluster autoscaler from draining a node.
	annotationSafeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
)

// cliPullPolicy is said, as Kubernetes' default for the tag latest is Always. The image is the engine's, which a node with an
// engine has already: with Always every job would need the registry, and could get another version under the same tag. A
// node that pulled it with a Secret asks for one all the same from Kubernetes 1.35 on, so Always would protect nothing more.
const cliPullPolicy = corev1.PullIfNotPresent

// cliSizeLimit bounds the copy: the CLI of v0.21 has 65 MB.
var cliSizeLimit = resource.MustParse("256Mi")

// cliTemplates is everything that delivers the CLI, encoded once.
type cliTemplates struct {
	container corev1.Container
	resources corev1.ResourceList

	copied, image cliDelivery

	// The container in the three shapes that a pod's security decides between; see cliContainer.
	ownUser, podUser, openShift json.RawMessage
}

func newCLITemplates(c *config.CLI, image string) *cliTemplates {
	t := &cliTemplates{
		container: corev1.Container{
			Name:  initContainerCLI,
			Image: image,
			// The image's entrypoint starts an engine.
			Command:         []string{"cp", cliInImage, cliCopyDir + "/" + cliFile},
			ImagePullPolicy: cliPullPolicy,
			VolumeMounts:    []corev1.VolumeMount{{Name: volumeCLI, MountPath: cliCopyDir}},
		},
		resources: c.Resources.Requests,
		copied:    copiedCLI(c.Path),
		image:     imageCLI(image),
	}
	t.ownUser = t.render(userOwn, t.resources)
	t.podUser = t.render(userPod, t.resources)
	t.openShift = t.render(userOpenShift, t.resources)
	return t
}

func (t *cliTemplates) enabled() bool { return t != nil }

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
	no, yes, uid := false, true, int64(cliUser)
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

func (t *cliTemplates) render(u user, resources corev1.ResourceList) json.RawMessage {
	c := t.container
	c.SecurityContext = u.securityContext()
	c.Resources = corev1.ResourceRequirements{Requests: resources, Limits: resources}
	return mustMarshal(c)
}

// cliContainer returns the init container that fits the pod.
func (t *cliTemplates) cliContainer(p *pod, ns *Namespace) json.RawMessage {
	u := initContainerUser(p, ns)
	resources, limited := ns.Limits.fit(t.resources)
	resources, bounded := withinPodResources(p, resources)
	if limited || bounded {
		return t.render(u, resources)
	}
	switch u {
	case userPod:
		return t.podUser
	case userOpenShift:
		return t.openShift
	}
	return t.ownUser
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
			most, err := resource.ParseQuantity(text)
			if text != "" && err == nil && most.Cmp(quantity) < 0 {
				quantity, changed = most, true
				bounded[name] = most
			}
		}
	}
	return bounded, changed
}

// mounts reports whether a container of the pod, regular or init, mounts that volume.
func mounts(c *container, volume string) bool {
	for _, mount := range c.raw.Get("volumeMounts").Elements() {
		if isVolume(mount, volume) {
			return true
		}
	}
	return false
}

// isVolume reports whether the mount is of that volume.
func isVolume(mount rawjson.Value, volume string) bool {
	name, _ := mount.Get("name").Str()
	return name == volume
}
