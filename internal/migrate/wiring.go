package migrate

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
)

// removal is one thing of the hand-wiring.
type removal struct {
	pointer string // in the pod
	what    string
}

// wiring is what connects a pod to an engine by hand.
type wiring struct {
	removals []removal
	// wired are the containers that have an engine, with how.
	wired map[string]*connection
	// cli is where the pod's own init container puts the dagger command; nil without one.
	cli *ownCLI
	// installs are scripts that install a command of their own.
	installs []install
	// left says what stays and needs a person.
	left []string
	// notes say what stays and does no harm.
	notes []string
}

func (w *wiring) remove(what string, names ...string) {
	w.removals = append(w.removals, removal{pointer(names...), what})
}

// leave notes what a person has to do.
func (w *wiring) leave(format string, args ...any) {
	w.left = append(w.left, fmt.Sprintf(format, args...))
}

func (w *wiring) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// connection returns the one that all wired containers have.
func (w *wiring) connection() *connection {
	for _, name := range sortedNames(w.wired) {
		return w.wired[name]
	}
	return nil
}

func (w *wiring) isEmpty() bool { return len(w.removals) == 0 }

// pointers returns where everything is.
func (w *wiring) pointers() []string {
	var all []string
	for _, r := range w.removals {
		all = append(all, r.pointer)
	}
	return all
}

// place is where a container stands in its pod.
type place struct {
	*corev1.Container
	list  string // containers or initContainers
	index int
}

func (p place) pointer(more ...string) []string {
	return append([]string{"spec", p.list, strconv.Itoa(p.index)}, more...)
}

func places(pod *corev1.Pod) []place {
	var all []place
	for i := range pod.Spec.InitContainers {
		all = append(all, place{&pod.Spec.InitContainers[i], "initContainers", i})
	}
	for i := range pod.Spec.Containers {
		all = append(all, place{&pod.Spec.Containers[i], "containers", i})
	}
	return all
}

// findWiring finds what connects a pod to an engine by hand.
func findWiring(pod *corev1.Pod) *wiring {
	w := &wiring{wired: map[string]*connection{}}
	volumes := map[string]bool{} // that exist for the wiring alone
	for _, c := range places(pod) {
		w.readContainer(pod, c, volumes)
	}
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.HostPath != nil && daggerPath.MatchString(path.Clean(v.HostPath.Path)) {
			volumes[v.Name] = true
		}
	}
	w.findCLI(pod, volumes)
	gone := w.removeSidecars(pod, volumes)
	w.removeMounts(pod, volumes, gone)
	for i, v := range pod.Spec.Volumes {
		if volumes[v.Name] {
			w.remove("volume "+v.Name+describeVolume(&v), "spec", "volumes", strconv.Itoa(i))
		}
	}
	return w
}

// daggerPath matches the directories and sockets that Dagger's charts and guides have had on nodes.
var daggerPath = regexp.MustCompile(`^(/var)?/run/dagger(-[^/]+)?(/(engine|buildkitd)\.sock)?$`)

// commonFolder are folders of a node that show more than an engine's socket.
func commonFolder(at string) bool {
	switch resolveRun(path.Clean(at)) {
	case "/", "/run", "/tmp", "/var", "/var/lib":
		return true
	}
	return false
}

// readContainer reads the runner host of one container.
func (w *wiring) readContainer(pod *corev1.Pod, c place, volumes map[string]bool) {
	w.readScript(c)
	conn := connectionOf(pod, c.Container)
	if conn == nil {
		return
	}
	w.wired[c.Name] = conn
	if conn.by == byOther {
		w.leave("container %s: %s leads to %s: what that is cannot be seen here, so it stays, and wins over injection",
			c.Name, inject.EnvRunnerHost, conn.engine)
		return
	}
	for i, e := range c.Env {
		if e.Name == inject.EnvRunnerHost {
			w.remove(fmt.Sprintf("container %s: variable %s=%s", c.Name, e.Name, e.Value), c.pointer("env", strconv.Itoa(i))...)
		}
	}
	for _, name := range conn.volumes {
		v := volumeOf(pod, name)
		if v != nil && v.HostPath != nil && commonFolder(v.HostPath.Path) {
			w.note("volume %s shows the node's whole %s, so it stays", name, v.HostPath.Path)
			continue
		}
		volumes[name] = true
	}
}

// removeSidecars removes the containers that run an engine, and claims the volumes that only they have.
func (w *wiring) removeSidecars(pod *corev1.Pod, volumes map[string]bool) map[string]bool {
	gone := map[string]bool{}
	for _, c := range places(pod) {
		if !isEngineSidecar(c.Container, c.list == "initContainers") {
			continue
		}
		gone[c.Name] = true
		w.remove(fmt.Sprintf("container %s: the engine %s", c.Name, c.Image), c.pointer()...)
		for _, m := range c.VolumeMounts {
			if v := volumeOf(pod, m.Name); v != nil && !mountedByOthers(pod, m.Name, c.Name) {
				volumes[m.Name] = true
				if v.EmptyDir == nil {
					w.note("the engine's volume %s%s goes with it", m.Name, describeVolume(v))
				}
			}
		}
	}
	return gone
}

func mountedByOthers(pod *corev1.Pod, volume, except string) bool {
	for _, c := range places(pod) {
		if c.Name != except && slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume }) {
			return true
		}
	}
	return false
}

// removeMounts removes the mounts of volumes that go. Those of containers that go need no mention.
func (w *wiring) removeMounts(pod *corev1.Pod, volumes, gone map[string]bool) {
	for _, c := range places(pod) {
		if gone[c.Name] || w.cli != nil && w.cli.container == c.Name {
			continue
		}
		for i, m := range c.VolumeMounts {
			if volumes[m.Name] {
				w.remove(fmt.Sprintf("container %s: mount %s of volume %s", c.Name, m.MountPath, m.Name), c.pointer("volumeMounts", strconv.Itoa(i))...)
			}
		}
	}
}

func describeVolume(v *corev1.Volume) string {
	switch {
	case v.HostPath != nil:
		return " (host path " + v.HostPath.Path + ")"
	case v.EmptyDir != nil:
		return " (emptyDir)"
	case v.Secret != nil:
		return " (Secret " + v.Secret.SecretName + ")"
	case v.ConfigMap != nil:
		return " (ConfigMap " + v.ConfigMap.Name + ")"
	case v.PersistentVolumeClaim != nil:
		return " (claim " + v.PersistentVolumeClaim.ClaimName + ")"
	}
	return ""
}

// socketFolders returns the folders of engines' sockets on the node that go with their volumes.
func (w *wiring) socketFolders(pod *corev1.Pod) []string {
	var all []string
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		at := pointer("spec", "volumes", strconv.Itoa(i))
		if v.HostPath == nil || !slices.ContainsFunc(w.removals, func(r removal) bool { return r.pointer == at }) {
			continue
		}
		folder := resolveRun(path.Clean(v.HostPath.Path))
		if strings.HasSuffix(folder, ".sock") {
			folder = path.Dir(folder)
		}
		if !slices.Contains(all, folder) {
			all = append(all, folder)
		}
	}
	return all
}

// twoEngines returns containers that are wired to different engines; empty where there are none.
func (w *wiring) twoEngines(pod *corev1.Pod) string {
	if folders := w.socketFolders(pod); len(folders) > 1 {
		return fmt.Sprintf("its volumes show the node's %s and %s", folders[0], folders[1])
	}
	first := ""
	for _, name := range sortedNames(w.wired) {
		if first == "" {
			first = name
			continue
		}
		if a, b := w.wired[first], w.wired[name]; a.engine != b.engine {
			return fmt.Sprintf("container %s is wired to %s, and container %s to %s", first, a, name, b)
		}
	}
	return ""
}
