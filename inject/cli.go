package inject

import (
	corev1 "k8s.io/api/core/v1"

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

	// AnnotationSafeToEvict names volumes that do not keep the cluster autoscaler from draining a node.
	AnnotationSafeToEvict = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
)

// imagePullPolicy is set because Kubernetes' default for the tag latest is Always. The image is the engine's, which a node with
// an engine already has: with Always every job would need the registry, and could get another version under the same tag.
// Always would not protect a private image better: from Kubernetes 1.35 on, a node that pulled it with a Secret asks every pod
// for one.
const imagePullPolicy = corev1.PullIfNotPresent

// cliSizeLimit bounds the copy: the CLI of v0.21 has 65 MB. It is not a Quantity, because Quantity.String writes to its receiver
// and decisions run concurrently.
const cliSizeLimit = "256Mi"

// cliTemplates holds everything that delivers the CLI, encoded once.
type cliTemplates struct {
	container *initContainer

	copied, image cliDelivery
}

func newCLITemplates(c *config.CLI, image string) *cliTemplates {
	return &cliTemplates{
		container: newInitContainer(&initContainerStart{
			Name:  initContainerCLI,
			Image: image,
			// The image's entrypoint starts an engine.
			Command:      []string{"cp", cliInImage, cliCopyDir + "/" + cliFile},
			VolumeMounts: []corev1.VolumeMount{{Name: volumeCLI, MountPath: cliCopyDir}},
		}, c.Resources.Requests),
		copied: copiedCLI(c.Path),
		image:  imageCLI(image, c.Path),
	}
}

func (t *cliTemplates) enabled() bool { return t != nil }

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
