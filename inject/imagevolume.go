package inject

import (
	"encoding/json"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// The sources of the volume with the CLI.
const (
	emptyDirSource = "emptyDir"
	imageSource    = "image"
)

// cliDelivery is one way to deliver the CLI: what the pod and its containers get.
type cliDelivery struct {
	volume json.RawMessage
	source string // the field of the volume that says what it is
	// path is where containers mount it, mount the mount, and env the variable with the command's place.
	path       string
	mount, env json.RawMessage
}

// imageVolumesSince is the first Kubernetes that has volumes of the kind image without being told to (KEP-4639).
var imageVolumesSince = version.MustParseGeneric("1.35")

// HasImageVolumes reports whether an API server of a version has volumes of the kind image. The version is as servers have
// it, as in v1.36.3 or v1.35.1-gke.100; major and minor are enough. An error says that it is none.
func HasImageVolumes(kubernetes string) (bool, error) {
	v, err := version.ParseGeneric(kubernetes)
	if err != nil {
		return false, err
	}
	return v.AtLeast(imageVolumesSince), nil
}

// copiedCLI is an empty volume that the init container copies the CLI to. It is mounted as one file, so that PATH need not
// change: login shells reset it, and Kubernetes cannot extend it.
func copiedCLI(at string) cliDelivery {
	return cliDelivery{
		volume: mustMarshal(corev1.Volume{
			Name:         volumeCLI,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &cliSizeLimit}},
		}),
		source: emptyDirSource,
		path:   at,
		mount:  mustMarshal(corev1.VolumeMount{Name: volumeCLI, MountPath: at, SubPath: cliFile, ReadOnly: true}),
		env:    envJSON(EnvCLIBin, at),
	}
}

// imageCLI is the image itself. Of that, runtimes mount folders only (containerd 2.4 refuses a file), and over
// /usr/local/bin it would hide what the container has there: so it is in a folder of its own.
func imageCLI(image string) cliDelivery {
	return cliDelivery{
		volume: mustMarshal(corev1.Volume{
			Name:         volumeCLI,
			VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image, PullPolicy: imagePullPolicy}},
		}),
		source: imageSource,
		path:   config.CLIImagePath,
		mount:  mustMarshal(corev1.VolumeMount{Name: volumeCLI, MountPath: config.CLIImagePath, SubPath: path.Dir(cliInImage)[1:], ReadOnly: true}),
		env:    envJSON(EnvCLIBin, config.CLIImagePath+"/"+cliFile),
	}
}

// isVolume recognises our volume among the pod's.
func (d *cliDelivery) isVolume(volume rawjson.Value) bool { return volume.Get(d.source).IsSet() }

// chooseDelivery decides how the CLI comes into the pod.
func (i *injection) chooseDelivery(wanted config.Delivery, system System, imageVolumes bool) {
	i.delivery = wanted
	if wanted == config.DeliveryNone || !i.engine.cli.enabled() {
		return
	}
	if wanted == config.DeliveryImageVolume {
		if i.status.CLIBecause = i.noImageVolume(system, imageVolumes); i.status.CLIBecause == "" {
			i.cli = &i.engine.cli.image
			return
		}
	}
	i.delivery, i.cli = config.DeliveryInitContainer, &i.engine.cli.copied
}

// noImageVolume returns why an image volume would not reach the pod's containers, empty where it would. What the pod has
// already from an earlier call is kept: another replica may have seen another server.
func (i *injection) noImageVolume(system System, imageVolumes bool) string {
	for _, volume := range i.pod.volumes.Elements() {
		if name, _ := volume.Get("name").Str(); name == volumeCLI && volume.Get(imageSource).IsSet() {
			return ""
		}
	}
	switch {
	case system == SystemARCLegacy:
		return "the webhook of legacy ARC strips image volumes"
	case !imageVolumes:
		return "the API server has no image volumes: they need Kubernetes " + imageVolumesSince.String()
	}
	for _, volume := range i.pod.volumes.Elements() {
		if name, _ := volume.Get("name").Str(); name == volumeCLI && volume.Get(emptyDirSource).IsSet() {
			return "the pod already has the volume that the init container fills"
		}
	}
	return ""
}
