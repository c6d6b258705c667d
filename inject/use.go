package inject

import (
	"cmp"
	"encoding/json"
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

// waitsAtUse recognises a script of ours in which dagger waits.
func waitsAtUse(script string) bool { return strings.HasPrefix(script, launchHead) }

// waitAtUse is what a pod gets in place of the init container that waits.
type waitAtUse struct {
	launcher      string // the script
	volume, mount json.RawMessage
}

func newWaitAtUse(w *config.Wait, timeout time.Duration, version string) *waitAtUse {
	command := config.CLIImagePath + "/" + cliFile
	return &waitAtUse{
		launcher: launchHead + command + " --timeout=" + cmp.Or(timeout, patienceAtUse).String() + " --on-timeout=" + string(w.OnTimeout) +
			" --expect-version=" + version + "\nexec " + command + ` "$@"` + "\n",
		volume: mustMarshal(corev1.Volume{Name: volumeProgram, VolumeSource: imageVolume(w.Image)}),
		mount:  mustMarshal(corev1.VolumeMount{Name: volumeProgram, MountPath: config.ProgramImagePath, ReadOnly: true}),
	}
}

// chooseWhen decides whether dagger waits when it is used.
func (i *injection) chooseWhen() {
	wait := i.engine.wait
	if wait == nil || wait.use == nil || i.waitOff != "" {
		return
	}
	switch script, set := i.pod.annotation(AnnotationLauncher); {
	case i.delivery != config.DeliveryImageVolume:
		i.notAtUse = "the command is not in an image volume"
	case i.cli.launcher == nil:
		i.notAtUse = "cli.path is in the image volume"
	case set && !waitsAtUse(script):
		i.notAtUse = "the pod has an annotation " + AnnotationLauncher + " that does not wait"
	default:
		i.use = wait.use
	}
}

// addWaitAtUse adds the program that waits, and reports whether no init container need wait.
func (i *injection) addWaitAtUse(spec, volumes *patch.Cursor) (done bool, o *obstacle) {
	if i.use == nil || !i.launches {
		return false, nil
	}
	i.addPullSecret(spec)
	if o := i.addVolume(volumes, volumeProgram, i.use.volume, func(v rawjson.Value) bool { return v.Get(imageSource).IsSet() }); o != nil {
		return true, o
	}
	if i.notAtUse != "" || i.pod.initContainerNamed(initContainerWait) != nil {
		return false, nil
	}
	i.status.Wait = "on: when dagger is used"
	return true, nil
}
