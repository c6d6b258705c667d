package inject

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

const (
	initContainerWait = "dagger-wait"

	// waitProgram is this program in its own image, and waitCommand its subcommand.
	waitProgram = "/dagger-inject"
	waitCommand = "wait"
	// anyVersion makes the wait accept every version, because the client is not known.
	anyVersion = "any"

	anotherEngine = "DAGGER_CLOUD_ENGINE chooses another engine"

	// longestGitLabWait leaves room in the 180 seconds that GitLab Runner gives a pod to start, pulls included (poll_timeout).
	longestGitLabWait = time.Minute
)

// waitTemplates holds everything of the wait that does not depend on the pod.
type waitTemplates struct {
	container *initContainer
	timeout   time.Duration // 0 for one that fits the pod's creator
	onTimeout config.OnTimeout
	// cliVersion is the version of the CLI that pods are given.
	cliVersion string
	// program is the volume with what waits when dagger is used, nil where the policy has pods wait at the start.
	program json.RawMessage

	pullSecret     string // empty for none
	pullSecretJSON json.RawMessage
}

func newWaitTemplates(w *config.Wait, cliImage string) *waitTemplates {
	timeout, _ := w.Timeout.Duration() // validation has read it
	t := &waitTemplates{
		container: newInitContainer(&initContainerStart{
			Name:    initContainerWait,
			Image:   w.Image,
			Command: []string{waitProgram},
		}, w.Resources.Requests),
		timeout:    timeout,
		onTimeout:  w.OnTimeout,
		cliVersion: anyVersion,
		pullSecret: w.ImagePullSecret,
	}
	if version := engine.ImageVersion(cliImage); version != "" {
		t.cliVersion = version
	}
	if w.When == config.WhenUse {
		t.program = mustMarshal(corev1.Volume{Name: volumeProgram, VolumeSource: imageVolume(w.Image)})
	}
	if t.pullSecret != "" {
		t.pullSecretJSON = mustMarshal(corev1.LocalObjectReference{Name: t.pullSecret})
	}
	return t
}

// sameWait returns other if the two are equal, and shares its container if only that is.
func sameWait(made, other *waitTemplates) *waitTemplates {
	if made != nil && other != nil {
		made.container = same(made.container, other.container)
		if bytes.Equal(made.program, other.program) {
			made.program = other.program
		}
	}
	return same(made, other)
}

// addWait adds the init container that waits for the engine, or records why there is none. It comes after the one that copies
// the CLI: the copy needs no engine, and the time to pull its image must not count against the wait. It comes before the pod's
// own init containers, which may run dagger.
func (i *injection) addWait(spec, volumes *patch.Cursor) *obstacle {
	if done, o := i.addWaitAtUse(spec, volumes); done {
		return o
	}
	have := i.pod.initContainerNamed(initContainerWait)
	isOurs := have != nil && isWait(have)
	off := i.noWait()
	switch {
	case isOurs:
		i.status.Wait = "on"
		if mesh := i.capturedBy(); mesh != "" {
			// The mesh's injector uses marks that are not visible here, and an addition cannot be undone.
			i.status.Wait = "on: before a mesh (" + mesh + ")"
		}
	case off != "":
		if i.status.Wait = "off: " + off; i.atUse && i.launches {
			i.status.Wait = "on: when dagger is used, but " + i.notAtUse + ", and at the start it is off: " + off
		}
		return nil
	case have != nil:
		return conflict("an init container %s", initContainerWait)
	case i.pod.containerNamed(initContainerWait) != nil:
		return conflict("a container %s", initContainerWait)
	default:
		i.status.Wait = "on"
	}
	if i.notAtUse != "" {
		i.status.Wait += ": at the start, as " + i.notAtUse
	}
	i.status.InitContainers = append(i.status.InitContainers, initContainerWait)
	wait := i.engine.wait
	if wait == nil {
		return nil // the pod has a wait from an earlier call, under another policy
	}
	timeout := cmp.Or(wait.timeout, i.system.patience())
	if i.system == SystemGitLab && timeout > longestGitLabWait {
		timeout = longestGitLabWait
		i.status.Wait += fmt.Sprintf(": %s, the most for GitLab", timeout)
	}
	i.addPullSecret(spec)
	if !isOurs {
		fields := wait.fields(i.connection, timeout, i.usesCLI)
		spec.Member("initContainers").Prepend(wait.container.fit(i.pod, i.namespace, fields, i.connection.mountJSON, i.seLinuxOfWait()))
	}
	return nil
}

// patience returns how long the creator of a pod lets it start. ARC deletes a runner whose init container has failed six times, so
// that a shorter wait would use that up while an engine starts (facts of actions-runner-controller 0.14.2).
func (s System) patience() time.Duration {
	switch s {
	case SystemGitLab:
		return longestGitLabWait
	case SystemARC, SystemARCLegacy:
		return 10 * time.Minute
	}
	return 2 * time.Minute
}

// noWait returns why the pod does not wait, or empty if it does.
func (i *injection) noWait() string {
	switch {
	case i.waitOff != "":
		return i.waitOff
	case i.engine.wait == nil:
		return "no wait.image"
	case i.defeated.count(defeatCloudEngine) == len(i.status.Containers):
		return anotherEngine
	}
	if mesh := i.capturedBy(); mesh != "" {
		return "mesh (" + mesh + ")"
	}
	return ""
}

// capturedBy returns the mark of a mesh whose proxy captures the wait's connections, or empty. In most versions init containers
// run before the proxy does, while the pod's connections are already redirected to it. Sockets are not.
func (i *injection) capturedBy() string {
	if i.connection.isSocket() {
		return ""
	}
	return meshMark(i.pod, i.namespace)
}

// isWait recognises our init container from an earlier call.
func isWait(c *container) bool {
	first := func(list rawjson.Value) string {
		for _, element := range list.Elements() {
			text, _ := element.Str()
			return text
		}
		return ""
	}
	return first(c.raw.Get("command")) == waitProgram && first(c.raw.Get("args")) == waitCommand
}

// fields returns what the wait of one connection needs: its arguments, and what they refer to.
func (t *waitTemplates) fields(c *connection, timeout time.Duration, usesCLI bool) []byte {
	version := anyVersion
	if usesCLI {
		version = t.cliVersion
	}
	dst := append(make([]byte, 0, 512), `,"args":["`+waitCommand+`"`...)
	for _, arg := range [...]string{
		"--host", c.host, "--timeout", timeout.String(), "--on-timeout", string(t.onTimeout), "--expect-version", version,
	} {
		dst = patch.AppendString(append(dst, ','), arg)
	}
	dst = append(dst, ']')
	if c.nodeIPJSON != nil {
		dst = append(append(append(dst, `,"env":[`...), c.nodeIPJSON...), ']')
	}
	return dst
}

// addPullSecret lets the kubelet pull the wait's image. The ServiceAccount admission plugin adds its account's pull secrets
// only to a pod that has none. It has run before webhooks are called, so ours does not displace them; when it runs again after
// a change, it finds some and adds none. The kubelet ignores a Secret that the namespace does not have.
func (i *injection) addPullSecret(spec *patch.Cursor) {
	wait := i.engine.wait
	if wait.pullSecret == "" || i.pullsProgram {
		return
	}
	i.pullsProgram = true
	for _, have := range i.pod.imagePullSecrets.Elements() {
		if name, _ := have.Get("name").Str(); name == wait.pullSecret {
			return
		}
	}
	spec.Member("imagePullSecrets").Append(wait.pullSecretJSON)
}
