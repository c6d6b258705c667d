package inject

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	// AnnotationLauncher is the script that a container has in place of a copy of the CLI, where an image volume has that.
	AnnotationLauncher = "dagger.io/launcher"
	volumeLauncher     = "dagger-inject-launcher"

	// launcherText runs the CLI of the image volume. Runtimes mount only folders of an image, and a folder over /usr/local/bin would
	// hide what the container has there: so a file of a downwardAPI volume, which needs no init container, is on PATH.
	launcherText = "#!/bin/sh\nexec " + config.CLIImagePath + "/" + cliFile + ` "$@"` + "\n"
)

var launcherVolume = mustMarshal(corev1.Volume{
	Name: volumeLauncher, VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
		DefaultMode: ptr.To[int32](0o555),
		Items: []corev1.DownwardAPIVolumeFile{{
			Path: cliFile, FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" + AnnotationLauncher + "']"},
		}},
	}},
})

// launcher is the mount of the script, and the variable that leads SDKs to it.
type launcher struct {
	path       string
	mount, env json.RawMessage
}

// newLauncher returns nil for a path in the image volume itself.
func newLauncher(at string) *launcher {
	if strings.HasPrefix(at, config.CLIImagePath+"/") {
		return nil
	}
	return &launcher{
		path:  at,
		mount: mustMarshal(corev1.VolumeMount{Name: volumeLauncher, MountPath: at, SubPath: cliFile, ReadOnly: true}),
		env:   envJSON(EnvCLIBin, at),
	}
}

// addLauncher puts the command on a container's PATH, and reports whether it could: unless something is in the way, of which the
// status tells.
func (i *injection) addLauncher(c *container, at *patch.Cursor, cli *cliDelivery) bool {
	where := i.pod.place(c, volumeLauncher, cli.launcher.path, cliFile)
	because := where.because
	if have, set := i.pod.annotation(AnnotationLauncher); set && have != launcherText && !waitsAtUse(have) {
		because = "the pod has an annotation " + AnnotationLauncher + " of its own"
	} else if !set && len(i.pod.annotations.Text()) > maxAnnotations {
		because = "the pod has no room for an annotation"
	}
	program, script := place{}, ""
	if script, _ = i.pod.annotation(AnnotationLauncher); because == "" && (i.atUse || waitsAtUse(script)) {
		program = i.pod.place(c, volumeProgram, config.ProgramImagePath, "")
		switch because = program.because; {
		case because == "" && program.at != config.ProgramImagePath:
			because = "it mounts the script's interpreter elsewhere"
		case because == "" && !i.atUse:
			because = "the pod lacks the volume with the interpreter of the script in its annotation " + AnnotationLauncher
		}
	}
	if because != "" {
		i.status.Moved = append(i.status.Moved, MovedMount{c.name, cli.command, "which is not on PATH, as " + because})
		return false
	}
	i.launches = true
	if !where.mounted {
		at.Member("volumeMounts").Append(cli.launcher.mount)
	}
	if i.atUse && !program.mounted {
		at.Member("volumeMounts").Append(programMount)
	}
	return true
}

// addLauncherVolume adds the script and its volume.
func (i *injection) addLauncherVolume(volumes, annotations *patch.Cursor) *obstacle {
	if _, set := i.pod.annotation(AnnotationLauncher); !set {
		text := launcherText
		if i.atUse {
			text = i.engine.wait.script()
		}
		annotations.Member(AnnotationLauncher).Set(patch.String(text))
	}
	return i.addVolume(volumes, volumeLauncher, launcherVolume, func(v rawjson.Value) bool { return v.Get("downwardAPI").IsSet() })
}
