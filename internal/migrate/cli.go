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
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// ownCLI is the dagger command that a pod's own init container provides.
type ownCLI struct {
	container string
	volume    string
	version   string            // empty if it is not known
	at        map[string]string // where containers have the command, by their names
}

var (
	// fetches matches what downloads the dagger command.
	fetches = regexp.MustCompile(`dl\.dagger\.io/dagger|github\.com/dagger/dagger/releases|get\.dagger\.io`)
	// exportsHost matches a script that sets the runner host itself.
	exportsHost = regexp.MustCompile(regexp.QuoteMeta(inject.EnvRunnerHost) + `=`)
	// intoFolder matches where the install script is told to put the command.
	intoFolder  = regexp.MustCompile(`BIN_DIR=["']?([^\s"']+)`)
	wantVersion = regexp.MustCompile(`DAGGER_VERSION=["']?v?([0-9][^\s"';]*)`)
	// separators are between the commands of a script.
	separators = regexp.MustCompile(`\n|;|&&|\|\|`)
)

// scriptOf returns all that a container runs as one text.
func scriptOf(c *corev1.Container) string {
	words := append(slices.Clone(c.Command), c.Args...)
	if c.Lifecycle != nil && c.Lifecycle.PostStart != nil && c.Lifecycle.PostStart.Exec != nil {
		words = append(words, c.Lifecycle.PostStart.Exec.Command...)
	}
	return strings.Join(words, " ")
}

// readScript reports what a container's script does about Dagger. Scripts are not edited.
func (w *wiring) readScript(c place) {
	script := scriptOf(c.Container)
	if exportsHost.MatchString(script) {
		w.leave("container %s: its script sets %s, which wins over what injection gives: remove that from the script",
			c.Name, inject.EnvRunnerHost)
	}
	if c.list == "initContainers" || !fetches.MatchString(script) {
		return
	}
	folder := "./bin"
	if into := intoFolder.FindStringSubmatch(script); into != nil {
		folder = path.Clean(into[1])
	}
	w.installs = append(w.installs, install{c.Name, folder})
}

// install is a script that installs the dagger command into a folder.
type install struct{ container, folder string }

// findCLI finds the init container that provides the dagger command.
func (w *wiring) findCLI(pod *corev1.Pod, volumes map[string]bool) {
	for _, c := range places(pod) {
		script := scriptOf(c.Container)
		sidecar := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		if c.list != "initContainers" || sidecar || !engine.IsEngineImage(c.Image) && !fetches.MatchString(script) {
			continue
		}
		mount, folder := destination(c.Container, script)
		if mount == nil || !onlyProvides(script) || !ownVolume(pod, c.Name, mount.Name) {
			w.leave("init container %s provides dagger and does more, so it stays: remove that part of its script", c.Name)
			continue
		}
		w.cli = &ownCLI{container: c.Name, volume: mount.Name, version: versionOf(c.Container, script), at: map[string]string{}}
		w.remove(fmt.Sprintf("init container %s: it provides dagger", c.Name), c.pointer()...)
		volumes[mount.Name] = true
		for _, user := range places(pod) {
			w.readUseOfCLI(user, mount.Name, folder)
		}
	}
}

// toolFolder matches names of volumes and folders that have tools in them, and no work of the job's.
var toolFolder = regexp.MustCompile(`(?i)dagger|bin\b|tool|cli\b`)

// ownVolume reports whether a volume exists for what one init container puts into it.
func ownVolume(pod *corev1.Pod, container, name string) bool {
	v := volumeOf(pod, name)
	if v == nil || v.EmptyDir == nil {
		return false
	}
	for _, c := range places(pod) {
		for _, m := range c.VolumeMounts {
			if m.Name != name || c.Name == container {
				continue
			}
			if c.list == "initContainers" || !toolFolder.MatchString(name+" "+m.MountPath) {
				return false
			}
		}
	}
	return true
}

// readUseOfCLI notes where a container has the command, and the variable that names it.
func (w *wiring) readUseOfCLI(c place, volume, folder string) {
	if c.Name == w.cli.container {
		return
	}
	for _, m := range c.VolumeMounts {
		if m.Name != volume {
			continue
		}
		at := path.Join(m.MountPath, folder, "dagger")
		if m.SubPath != "" {
			at = path.Clean(m.MountPath)
			if path.Base(m.SubPath) != "dagger" {
				at = path.Join(at, "dagger")
			}
		}
		w.cli.at[c.Name] = at
		for i, e := range c.Env {
			if e.Name == inject.EnvCLIBin && path.Clean(e.Value) == at {
				w.remove(fmt.Sprintf("container %s: variable %s=%s", c.Name, e.Name, e.Value), c.pointer("env", strconv.Itoa(i))...)
			}
		}
	}
}

// destination returns the mount into which an init container puts the command, and the folder in it.
func destination(c *corev1.Container, script string) (mount *corev1.VolumeMount, folder string) {
	words := strings.Fields(separators.ReplaceAllString(script, " "))
	if into := intoFolder.FindStringSubmatch(script); into != nil {
		words = append(words, into[1]+"/")
	}
	for i := len(words) - 1; i >= 0; i-- {
		word := strings.Trim(words[i], `"'`)
		m, rest := mountFor(c, path.Clean(word))
		if m == nil || !strings.HasPrefix(word, "/") {
			continue
		}
		return m, strings.TrimSuffix(strings.TrimSuffix(rest, "/dagger"), "/")
	}
	return nil, ""
}

// onlyProvides reports whether a script does nothing but provide the command.
func onlyProvides(script string) bool {
	for _, command := range separators.Split(script, -1) {
		words := strings.Fields(command)
		for len(words) > 0 && (isShell(words[0]) || strings.HasPrefix(words[0], "-")) {
			words = words[1:]
		}
		if len(words) == 0 || slices.Contains([]string{"set", "mkdir", "cd", "echo", "apk", "true", "exit"}, words[0]) {
			continue
		}
		if !strings.Contains(strings.ToLower(command), "dagger") {
			return false
		}
	}
	return true
}

func isShell(word string) bool {
	switch path.Base(word) {
	case "sh", "bash", "ash":
		return true
	}
	return false
}

// versionOf returns the version of the command that an init container provides; empty if it is not known.
func versionOf(c *corev1.Container, script string) string {
	if v := engine.ImageVersion(c.Image); v != "" {
		return v
	}
	if e := variable(c, "DAGGER_VERSION"); e != nil && e.Value != "" {
		return "v" + strings.TrimPrefix(e.Value, "v")
	}
	if v := wantVersion.FindStringSubmatch(script); v != nil {
		return "v" + v[1]
	}
	return ""
}
