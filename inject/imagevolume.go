package inject

import (
	"encoding/json"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/utils/ptr"

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
	// path is where containers mount it, and spare where below a folder of our own, where that path is taken.
	path, spare string
	// subPath is what of the volume they mount there, and file the command in that, empty where that is the command.
	subPath, file string
	// command is the command's path, mount the mount, and env the variable with the command's path.
	command    string
	mount, env json.RawMessage
	// launcher is what is on PATH where the command itself is not, nil for nothing.
	launcher *launcher
}

// mountedAt returns the same delivery, mounted elsewhere.
func (d *cliDelivery) mountedAt(at string) *cliDelivery {
	if d.path == at {
		return d
	}
	moved := *d
	moved.mountAt(at)
	return &moved
}

func (d *cliDelivery) mountAt(at string) {
	d.path, d.command = at, path.Join(at, d.file)
	d.mount = mustMarshal(corev1.VolumeMount{Name: volumeCLI, MountPath: at, SubPath: d.subPath, ReadOnly: true})
	d.env = envJSON(EnvCLIBin, d.command)
}

// imageVolumesSince is the first Kubernetes that has image volumes by default (KEP-4639).
var imageVolumesSince = version.MustParseGeneric("1.35")

// HasImageVolumes reports whether an API server of a version has image volumes by default. The version is in the form that
// servers report, as in v1.36.3 or v1.35.1-gke.100; major and minor are enough. The error says that it is not a version.
func HasImageVolumes(kubernetes string) (bool, error) {
	v, err := version.ParseGeneric(kubernetes)
	if err != nil {
		return false, err
	}
	return v.AtLeast(imageVolumesSince), nil
}

// copiedCLI is an empty volume that the init container copies the CLI to. Containers mount it as one file, so that PATH need
// not change: login shells reset it, and Kubernetes cannot extend it.
func copiedCLI(at string) cliDelivery {
	d := cliDelivery{
		volume: mustMarshal(corev1.Volume{
			Name:         volumeCLI,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(CLISizeLimit())}},
		}),
		source:  emptyDirSource,
		spare:   "bin/" + cliFile,
		subPath: cliFile,
	}
	d.mountAt(at)
	return d
}

// imageCLI is the image itself. Runtimes mount only folders of an image (containerd 2.4 refuses a file), and a folder over
// /usr/local/bin would hide what the container has there. So the CLI is in a folder of its own, and a script at the path launches it.
func imageCLI(image, at string) cliDelivery {
	d := cliDelivery{
		volume: mustMarshal(corev1.Volume{
			Name:         volumeCLI,
			VolumeSource: imageVolume(image),
		}),
		source:  imageSource,
		spare:   "bin",
		subPath: path.Dir(cliInImage)[1:],
		file:    cliFile,

		launcher: newLauncher(at),
	}
	d.mountAt(config.CLIImagePath)
	return d
}

func imageVolume(image string) corev1.VolumeSource {
	return corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image, PullPolicy: imagePullPolicy}}
}

// isVolume recognises our volume among the pod's.
func (d *cliDelivery) isVolume(volume rawjson.Value) bool { return volume.Get(d.source).IsSet() }

// chooseDelivery decides how the CLI comes into the pod.
func (i *injection) chooseDelivery(wanted config.Delivery, cluster *Cluster) {
	i.delivery = wanted
	if wanted == config.DeliveryNone || !i.engine.cli.enabled() {
		return
	}
	if wanted == config.DeliveryImageVolume {
		if i.status.CLIBecause = i.noImageVolume(cluster); i.status.CLIBecause == "" {
			i.cli = &i.engine.cli.image
			return
		}
	}
	i.delivery, i.cli = config.DeliveryInitContainer, &i.engine.cli.copied
}

// noImageVolume returns why an image volume would not reach the pod's containers, or empty if it would. It keeps what the pod
// already has from an earlier call: another replica may have seen another version of the server.
func (i *injection) noImageVolume(cluster *Cluster) string {
	for _, volume := range i.pod.volumes.Elements() {
		if name, _ := volume.Get("name").Str(); name == volumeCLI && volume.Get(imageSource).IsSet() {
			return ""
		}
	}
	switch {
	case i.system == SystemARCLegacy:
		return "the webhook of legacy ARC strips image volumes"
	case !cluster.ImageVolumes:
		return "the API server has no image volumes: they need Kubernetes " + imageVolumesSince.String()
	}
	for _, volume := range i.pod.volumes.Elements() {
		if name, _ := volume.Get("name").Str(); name == volumeCLI && volume.Get(emptyDirSource).IsSet() {
			return "the pod already has the volume that the init container fills"
		}
	}
	return ""
}
