package inject

import (
	"cmp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	volumeProgram = "dagger-inject-program"
	// launchHead begins the script of a container in which dagger waits when it is used. Its interpreter is this program, so that the
	// job's image need have no shell, and its second line has the flags. A shell that is given the script runs dagger without a wait.
	launchHead = "#!" + config.ProgramImagePath + waitProgram + " launch\n# --command="
	// patienceAtUse is how long dagger waits when it is used: no runner's creator loses patience with a job that runs.
	patienceAtUse = 2 * time.Minute
)

// programMount is the mount of the script's interpreter.
var programMount = mustMarshal(corev1.VolumeMount{Name: volumeProgram, MountPath: config.ProgramImagePath, ReadOnly: true})

// waitsAtUse recognises a script of ours in which dagger waits.
func waitsAtUse(script string) bool { return strings.HasPrefix(script, launchHead) }

// script returns that of a pod in which dagger waits when it is used.
func (t *waitTemplates) script() string {
	const command = config.CLIImagePath + "/" + cliFile
	return launchHead + command + " --timeout=" + cmp.Or(t.timeout, patienceAtUse).String() + " --on-timeout=" + string(t.onTimeout) +
		" --expect-version=" + t.cliVersion + "\nexec " + command + ` "$@"` + "\n"
}

func isProgramVolume(volume rawjson.Value) bool { return volume.Get(imageSource).IsSet() }

// chooseWhen decides whether dagger waits when it is used. Where an earlier call has given the pod a script, that one decides:
// another replica may have another policy.
func (i *injection) chooseWhen() {
	script, set := i.pod.annotation(AnnotationLauncher)
	if set && waitsAtUse(script) && isProgramVolume(i.pod.volumeNamed(volumeProgram)) {
		i.atUse = true
		return
	}
	wait := i.engine.wait
	if wait == nil || wait.program == nil || i.waitOff != "" {
		return
	}
	switch {
	case i.cli == nil:
		i.notAtUse = "the pod gets no dagger command"
	case i.delivery != config.DeliveryImageVolume:
		i.notAtUse = "the command is not in an image volume"
	case i.cli.launcher == nil:
		i.notAtUse = "cli.path is in the image volume"
	case set && !waitsAtUse(script):
		i.notAtUse = "the pod has an annotation " + AnnotationLauncher + " that does not wait"
	default:
		i.atUse = true
	}
}

// addWaitAtUse adds the program that waits, and reports whether no init container need wait.
func (i *injection) addWaitAtUse(spec, volumes *patch.Cursor) (done bool, o *obstacle) {
	if !i.atUse || !i.launches {
		return false, nil
	}
	if wait := i.engine.wait; wait != nil && wait.program != nil {
		i.addPullSecret(spec)
		if o := i.addVolume(volumes, volumeProgram, wait.program, isProgramVolume); o != nil {
			return true, o
		}
	}
	if i.notAtUse != "" || i.pod.initContainerNamed(initContainerWait) != nil {
		return false, nil
	}
	if i.status.Wait = "on: when dagger is used"; i.defeated.count(defeatCloudEngine) == len(i.status.Containers) {
		i.status.Wait = "off: " + anotherEngine
	}
	return true, nil
}
