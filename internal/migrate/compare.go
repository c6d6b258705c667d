package migrate

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// propertyEngine is the property of the engine that a container reaches.
const propertyEngine = "engine"

// Difference is one property in which the migrated pod is not what the pod was.
type Difference struct {
	// Container is the container that it concerns; empty for the pod.
	Container string `json:"container,omitempty"`
	// Property is what differs: engine, socketPath, env, mount, tolerations, nodeSelector, nodeAffinity, cli or other.
	Property string `json:"property"`
	// Before and After are the values; one may be empty.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Means says what follows from it, and what would keep the property as it was.
	Means string `json:"means"`
}

// comparison compares a pod as it was with the stripped pod injected.
type comparison struct {
	before, after *corev1.Pod
	wiring        *wiring
	status        *inject.Status
	// everywhere says that the system mounts volumes in all containers, whether they are asked for there or not.
	everywhere  bool
	differences []Difference
	gains       []string
	notes       []string
}

// compare compares a workload's pod as it was with the one that a plan gives.
func (t *task) compare(before, after *corev1.Pod, plan *inject.Plan) *comparison {
	c := &comparison{before: before, after: after, wiring: t.wiring, status: plan.Status, everywhere: t.system == inject.SystemGitLab}
	c.compare()
	return c
}

func (c *comparison) differ(d Difference) { c.differences = append(c.differences, d) }

func (c *comparison) gain(format string, args ...any) {
	c.gains = append(c.gains, fmt.Sprintf(format, args...))
}

func (c *comparison) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// compare finds all differences. What a pod has in addition, and nothing that worked can notice, is a gain.
func (c *comparison) compare() {
	for _, before := range places(c.before) {
		if c.isRemoved(before.pointer()) {
			continue
		}
		after := containerNamed(c.after, before.Name)
		if after == nil {
			c.differ(Difference{Container: before.Name, Property: "other", Before: "there", Means: "The container is gone."})
			continue
		}
		c.compareConnections(before.Container, after)
		c.compareEnv(before.Container, after)
		c.compareMounts(before, after)
		c.compareCLI(before.Container, after)
		c.compareRest(before.Container, after)
	}
	c.compareContainers()
	c.compareSidecars()
	c.comparePlacement()
	c.comparePods()
}

// isRemoved reports whether what the pod has there is part of the wiring.
func (c *comparison) isRemoved(names []string) bool {
	at := pointer(names...)
	return slices.ContainsFunc(c.wiring.removals, func(r removal) bool { return r.pointer == at })
}

func containerNamed(pod *corev1.Pod, name string) *corev1.Container {
	for _, p := range places(pod) {
		if p.Name == name {
			return p.Container
		}
	}
	return nil
}

func (c *comparison) compareConnections(before, after *corev1.Container) {
	was, is := c.wiring.wired[before.Name], connectionOf(c.after, after)
	switch {
	case was == nil && is == nil:
	case was == nil && c.mounted(before, is.engine):
		c.note("container %s: it had the socket's mount without %s, which injection sets too", before.Name, inject.EnvRunnerHost)
	case was == nil:
		c.differ(Difference{before.Name, propertyEngine, "", is.String(), meansNewEngine})
	case is == nil:
		c.differ(Difference{before.Name, propertyEngine, was.String(), "", meansNoEngine})
	case was.engine != is.engine || was.by != is.by:
		c.differ(Difference{before.Name, propertyEngine, was.String(), is.String(), meansEngine(was, is)})
	case was.by == bySidecar && was.image != is.image:
		c.differ(Difference{before.Name, propertyEngine, was.image, is.image, meansSidecarImage})
	case was.at != is.at && resolveRun(was.at) == resolveRun(is.at):
		c.note("container %s: the socket is at %s, which is the same as %s where /var/run links to /run, as in the images of Debian, Ubuntu "+
			"and Alpine", before.Name, is.at, was.at)
	case was.at != is.at:
		c.differ(Difference{before.Name, "socketPath", was.at, is.at, meansPath + path.Dir(was.at) + "."})
	}
}

// mounted reports whether a container has a mount of the socket, or of its folder on the node.
func (c *comparison) mounted(before *corev1.Container, socket string) bool {
	for _, m := range before.VolumeMounts {
		v := volumeOf(c.before, m.Name)
		if v == nil || v.HostPath == nil {
			continue
		}
		if at := resolveRun(path.Clean(v.HostPath.Path)); at == socket || at == path.Dir(socket) {
			return true
		}
	}
	return false
}

// isHandled are the variables that are compared by what they mean.
func isHandled(name string) bool { return name == inject.EnvRunnerHost || name == inject.EnvCLIBin }

func (c *comparison) compareEnv(before, after *corev1.Container) {
	was, is := variables(before), variables(after)
	seen := map[string]bool{}
	for _, list := range [][]corev1.EnvVar{before.Env, after.Env} {
		for _, e := range list {
			if seen[e.Name] || isHandled(e.Name) {
				continue
			}
			seen[e.Name] = true
			switch was, is := was[e.Name], is[e.Name]; {
			case was == nil:
				c.gain("container %s: variable %s", before.Name, e.Name)
			case is == nil || !reflect.DeepEqual(was, is):
				c.differ(Difference{before.Name, "env", describeEnv(was), describeEnv(is), "The variable has another value."})
			}
		}
	}
}

// variables returns a container's variables by name; of several with one name the last counts.
func variables(c *corev1.Container) map[string]*corev1.EnvVar {
	all := make(map[string]*corev1.EnvVar, len(c.Env))
	for i := range c.Env {
		all[c.Env[i].Name] = &c.Env[i]
	}
	return all
}

func describeEnv(e *corev1.EnvVar) string {
	switch {
	case e == nil:
		return ""
	case e.ValueFrom != nil:
		return e.Name + " from " + sourceOf(e.ValueFrom)
	}
	return e.Name + "=" + e.Value
}

// mountsOf returns what a container has at each path, links resolved.
func mountsOf(pod *corev1.Pod, c *corev1.Container) map[string]string {
	all := map[string]string{}
	for _, m := range c.VolumeMounts {
		source := "nothing"
		if v := volumeOf(pod, m.Name); v != nil {
			source = fmt.Sprintf("volume %s%s", m.Name, describeVolume(v))
		}
		if m.SubPath != "" {
			source += " " + m.SubPath
		}
		if m.ReadOnly {
			source += " read-only"
		}
		all[resolveRun(path.Clean(m.MountPath))] = source
	}
	return all
}

func (c *comparison) compareMounts(before place, after *corev1.Container) {
	was, is := mountsOf(c.before, before.Container), mountsOf(c.after, after)
	wired := map[string]bool{}
	for i, m := range before.VolumeMounts {
		if c.isRemoved(before.pointer("volumeMounts", strconv.Itoa(i))) {
			wired[resolveRun(path.Clean(m.MountPath))] = true
		}
	}
	target := slices.Contains(c.status.Containers, before.Name)
	for _, at := range sortedNames(was) {
		switch {
		case was[at] == is[at], wired[at] && target:
		case wired[at] && c.everywhere:
			c.note("container %s no longer has the mount %s, which it got with all containers and has no use for", before.Name, at)
		case wired[at]:
			c.differ(Difference{before.Name, "mount", at + ": " + was[at], is[at], meansMount})
		default:
			c.differ(Difference{before.Name, "mount", at + ": " + was[at], is[at], "The mount has changed."})
		}
	}
}

// ofOurs reports whether injection added what has that name.
func ofOurs(name string) bool { return strings.HasPrefix(name, "dagger-inject-") }

// cliAfter returns where injection puts the dagger command into a container; empty where it does not.
func cliAfter(c *corev1.Container) string {
	if e := variable(c, inject.EnvCLIBin); e != nil {
		for _, m := range c.VolumeMounts {
			if ofOurs(m.Name) && (e.Value == m.MountPath || strings.HasPrefix(e.Value, m.MountPath+"/")) {
				return e.Value
			}
		}
	}
	return ""
}

func (c *comparison) compareCLI(before, after *corev1.Container) {
	was, version := "", ""
	if c.wiring.cli != nil {
		was, version = c.wiring.cli.at[before.Name], c.wiring.cli.version
	}
	is, newVersion := cliAfter(after), engine.ImageVersion(c.status.CLIImage)
	switch {
	case was == "" && is != "":
		c.gain("container %s: the dagger command %s at %s, in front of any that its image has there", before.Name, newVersion, is)
	case was == is:
	default:
		c.differ(Difference{before.Name, "cli", was, is, meansCLI + was + "."})
	}
	if was != "" && is != "" && version != newVersion {
		c.differ(Difference{before.Name, "cli", orUnknown(version), orUnknown(newVersion), meansVersion})
	}
}

func orUnknown(version string) string {
	if version == "" {
		return "a version that is not known"
	}
	return version
}
