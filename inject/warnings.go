package inject

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// defeat is a set of the ways in which a container's own variables undo what it is given.
type defeat uint8

const (
	defeatCloudEngine defeat = 1 << iota
	defeatSession
	defeatToken
)

// defeats lists all ways, with the warning for a container that has one (dagger, engine/client and the SDKs).
var defeats = [...]struct {
	defeat
	sentence string
}{
	{defeatCloudEngine, "sets DAGGER_CLOUD_ENGINE, which makes dagger ignore the engine that it is given, whatever its value: remove it."},
	{defeatSession, "sets DAGGER_SESSION_PORT, DAGGER_SESSION_TOKEN or the like, with which dagger looks for a session that somebody else " +
		"runs, and not for the engine that it is given: remove them."},
	{defeatToken, "sets DAGGER_CLOUD_TOKEN to nothing, which wins over a token that the policy or the image has: remove it, or give " +
		"it a value."},
}

// read examines one variable of a container. If several have the same name, the last one counts.
func (d *defeat) read(name string, variable rawjson.Value) {
	rest, ours := strings.CutPrefix(name, "DAGGER_")
	if !ours {
		return
	}
	switch {
	case rest == "CLOUD_ENGINE":
		*d |= defeatCloudEngine
	case rest == "CLOUD_TOKEN":
		*d &^= defeatToken
		// Clients written in Go omit an empty value.
		if value, _ := variable.Get("value").Str(); value == "" && !variable.Get("valueFrom").IsSet() {
			*d |= defeatToken
		}
	case strings.HasPrefix(rest, "SESSION_"):
		*d |= defeatSession
	}
}

// defeatedContainers are names of containers, by the place in defeats.
type defeatedContainers [len(defeats)][]string

func (c *defeatedContainers) note(container string, found defeat) {
	if found == 0 {
		return
	}
	for n, one := range defeats {
		if found&one.defeat != 0 {
			c[n] = append(c[n], container)
		}
	}
}

// count returns how many containers undo what they are given in that way.
func (c *defeatedContainers) count(way defeat) int {
	for n, one := range defeats {
		if one.defeat == way {
			return len(c[n])
		}
	}
	return 0
}

// warn says it once for all containers, not once for each.
func (c *defeatedContainers) warn(plan *Plan) {
	for n, containers := range c {
		if len(containers) > 0 {
			plan.warn(fmt.Sprintf("container %s %s", joinNames(containers), defeats[n].sentence))
		}
	}
}

// warnAboutImage tells where the CLI's image may not fit the engine, or may not be had.
func (i *injection) warnAboutImage(plan *Plan) {
	bySidecar := i.connection.transport == config.TransportSidecar
	if !i.usesCLI && !bySidecar {
		return
	}
	facts, image, of := i.engine, i.engine.cli.container.image, "the dagger command"
	if bySidecar {
		of = "the pod's own engine"
	}
	if facts.skew != "" && i.connection.discovered {
		plan.warn(fmt.Sprintf("the policy's cli.image does not fit %s: %s: leave cli.image out, and the engine's own image is used.",
			facts.workload, facts.skew))
	}
	if len(facts.pullSecrets) == 0 || i.listsAny(facts.pullSecrets) {
		return
	}
	plan.warn(fmt.Sprintf("the image of %s, %.300s, is the engine's, which is pulled with the Secret %s, and the pod lists "+
		"no such imagePullSecrets: "+
		"where the pull needs it, the pod does not start. Put the Secret into namespace %s and name it in the pod's or its service account's "+
		"imagePullSecrets, or give the policy a cli.image that needs none.",
		of, image, joinNames(facts.pullSecrets), i.namespace.Name))
}

// listsAny reports whether the pod names one of these Secrets for pulling images. Those of its service account are in the pod
// by now: the API server's own admission puts them there before webhooks are called. Names are all that is compared: nothing
// here reads a Secret.
func (i *injection) listsAny(secrets []string) bool {
	for _, reference := range i.pod.spec.Get("imagePullSecrets").Elements() {
		if name, _ := reference.Get("name").Str(); slices.Contains(secrets, name) {
			return true
		}
	}
	return false
}

// warnAbout warns of what works differently from what the user may expect.
func (p *Plan) warnAbout(i *injection, targets []*container, entry Entry) {
	if i.delivery != config.DeliveryNone && !i.engine.cli.enabled() {
		p.warn("the pod gets no dagger command: the policy names no cli.image.")
	}
	if i.connection.transport == config.TransportSocket {
		if because := sandbox(i.pod, i.engine, ownKernel(i.pod, i.policy.runtimeClasses)); because != "" {
			p.warn("the pod is given the node's socket, as engine.transport names it, and may be unable to use it: " + because + ".")
		}
	}
	i.defeated.warn(p)
	i.warnAboutImage(p)
	i.warnAboutStorage(p)
	i.warnAboutSidecar(p)
	if p.System != SystemARC && p.System != SystemARCLegacy || i.namespace.asks() || entry == EntryNamespace {
		return
	}
	for _, c := range targets {
		if i.status.HookTemplate == "" && c.env(envHooks).IsSet() {
			p.warn(fmt.Sprintf("this runner runs its jobs in pods of their own, which do not carry its label: label the namespace %s=%s, "+
				"or put the label %s=%s into the metadata of the template that the runner's %s names.",
				LabelInject, InjectTrue, LabelInject, InjectOptional, EnvHookTemplate))
			return
		}
	}
}
