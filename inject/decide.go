// Package inject decides what happens to a pod that asks for a Dagger Engine. Nothing else decides it: the webhook and the
// offline commands call Decide. The package is pure: no client, no clock, no environment, no logging.
//
// The Go API is not stable before v1: a minor version may change it, and CHANGELOG.md then says so.
package inject

import (
	"errors"
	"fmt"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// Input is everything that a decision depends on.
type Input struct {
	// Pod is the v1 Pod, or a workload's pod template.
	Pod rawjson.Value
	// Pointer is where Pod lies in the document that the operations are for (RFC 6901); empty for the document itself.
	Pointer string
	// Namespace is the namespace of the request, not the one that the pod's metadata names.
	Namespace Namespace
	// Entry is the webhook entry that the request came through; empty outside the webhook.
	Entry Entry
	// System is the system that the pod will belong to if a controller has yet to set its marks: a runner's template does not
	// carry the labels that ARC sets on its pods.
	System System
	// RunnerSpec says that the pod's spec is the RunnerSpec of legacy ARC; see Template.
	RunnerSpec bool
	// Policies are the policies of the namespace.
	Policies *Policies
	// Cluster is what is known of the cluster that the pod is created in.
	Cluster Cluster
	// Ready is which pods of engines are ready, nil where that is not known. Only placement by cache depends on it.
	Ready engine.Ready
	// Version is this program's version, for the status annotation.
	Version string
	// Trace, if not nil, records how the decision comes about.
	Trace *Trace
	// Interrupted, if not nil, is called in loops over what tenants write, and stops them once it returns true; it must then
	// keep returning true. The decision ends with ReasonInternalError. It is the second line of defence behind the bounds of
	// those loops.
	Interrupted func() bool
}

// Cluster has the facts about a cluster that decisions depend on.
type Cluster struct {
	// NodeIPv6 says that the nodes' addresses are IPv6. An address needs brackets around IPv6, and must not have them around
	// IPv4.
	NodeIPv6 bool
	// ImageVolumes says that the API server has volumes of the kind image; see HasImageVolumes.
	ImageVolumes bool
}

// interruption is Input.Interrupted.
type interruption func() bool

func (i interruption) now() bool { return i != nil && i() }

// Decide returns what to do with a pod. The same input always gives the same plan, and deciding on the patched pod gives a plan
// without operations.
func Decide(in Input) *Plan {
	d := &decision{in: &in, plan: &Plan{}, onError: config.OnErrorAuto}
	for _, step := range steps {
		if o := step(d); o != nil {
			d.plan.end(o, d.onError, d.asked)
			break
		}
	}
	return d.plan
}

// steps are those of a decision. The first that meets an obstacle ends it.
var steps = [...]func(*decision) *obstacle{
	(*decision).readPod,
	(*decision).readOptIn,
	(*decision).recognise,
	(*decision).choosePolicy,
	(*decision).chooseTargets,
	(*decision).chooseEngine,
	(*decision).inject,
}

// decision is what is known of one pod on the way to its plan.
type decision struct {
	in   *Input
	plan *Plan

	pod     *pod
	asked   optIn
	policy  *Policy
	onError config.OnError
	choices choices
	targets []*container

	engine     *compiledEngine
	connection *connection
}

const (
	// maxContainers bounds how many containers are compared with patterns. No pod that runs has that many.
	maxContainers = 1024
	// maxTargets bounds how many are injected: an empty container of two bytes gains several hundred.
	maxTargets = 256
	// maxAdded bounds the bytes of a patch. etcd refuses objects of more than 1.5 MiB.
	maxAdded = 1 << 20
)

func (d *decision) readPod() *obstacle {
	var err error
	if d.pod, err = readPod(d.in.Pod, d.in.RunnerSpec); err != nil {
		return &obstacle{ReasonBadRequest, err.Error()}
	}
	return nil
}

func (d *decision) readOptIn() *obstacle {
	var o *obstacle
	d.asked, o = readOptIn(d.pod, &d.in.Namespace, d.in.Entry)
	d.in.Trace.asked(d.asked)
	return o
}

// recognise finds the CI system that the pod belongs to, and keeps out pods that no policy concerns.
func (d *decision) recognise() *obstacle {
	if reason := unfit(d.pod); reason != "" {
		return obstruct(reason)
	}
	if d.plan.System = recognise(d.pod); d.plan.System == SystemNone {
		d.plan.System = d.in.System
	}
	if d.plan.System == SystemNone && !d.asked.byPod {
		return obstruct(ReasonNotARunner)
	}
	return nil
}

// choosePolicy finds the policy that applies. What the default one says of namespaces comes first: a pod of a namespace that it
// leaves out is left alone, whatever profile it asks for.
func (d *decision) choosePolicy() *obstacle {
	standard := d.in.Policies.standard
	d.onError = standard.onError
	if o := standard.admitsNamespace(&d.in.Namespace, d.asked); o != nil {
		return o
	}
	policy, o := d.in.Policies.choose(d.pod)
	if o != nil {
		return o
	}
	d.in.Trace.policy(policy)
	d.policy, d.onError = policy, policy.onError
	if policy.err != nil {
		return &obstacle{ReasonPolicyInvalid, policy.err.Error()}
	}
	if o := policy.admitsNamespace(&d.in.Namespace, d.asked); o != nil {
		return o
	}
	d.choices, o = readChoices(policy, d.pod)
	return o
}

func (d *decision) chooseTargets() *obstacle {
	if n := len(d.pod.containers); n > maxContainers {
		return obstructf(ReasonPodTooLarge, "it has %d containers, more than %d", n, maxContainers)
	}
	var o *obstacle
	if d.targets, o = chooseTargets(d.pod, d.plan.System, &d.choices, d.policy.exclude, d.in.Trace); o != nil {
		return o
	}
	if n := len(d.targets); n > maxTargets {
		return obstructf(ReasonPodTooLarge, "%d of its containers would be injected, more than %d", n, maxTargets)
	}
	return nil
}

func (d *decision) chooseEngine() *obstacle {
	var o *obstacle
	if d.engine, d.connection, o = chooseEngine(d); o != nil && d.interrupted() {
		return tookTooLong()
	}
	return o
}

func (d *decision) interrupted() bool { return interruption(d.in.Interrupted).now() }

func tookTooLong() *obstacle { return &obstacle{ReasonInternalError, "the decision took too long"} }

// inject works out the additions, and makes them the plan.
func (d *decision) inject() *obstacle {
	i := newInjection(d)
	o := i.add(d.targets)
	switch {
	case d.interrupted():
		return tookTooLong()
	case o != nil:
		return o
	}
	d.in.Trace.settle(i.status)
	if i.cache != nil {
		d.plan.CacheAffinity = i.cache.Result
		d.in.Trace.cacheAffinity(i.cache)
	}
	ops, err := i.session.Operations()
	switch {
	case errors.Is(err, patch.ErrTooLarge):
		return obstructf(ReasonPodTooLarge,
			"more than %d bytes would be added to it: the policy's env alone has %d bytes for each of %d containers",
			maxAdded, d.policy.envBytes, len(d.targets))
	case err != nil:
		return &obstacle{ReasonBadRequest, err.Error()}
	}
	d.plan.Operations, d.plan.Status = ops, i.status
	if len(i.status.Containers) == 0 {
		return &obstacle{ReasonAlreadyWired, leftDetail(i.status.Left)}
	}
	if d.plan.Decision, d.plan.Reason = DecisionInjected, ReasonInjected; len(ops) == 0 {
		d.plan.Reason = ReasonAlreadyInjected
	}
	d.plan.warnAbout(i, d.targets, d.in.Entry)
	return nil
}

func leftDetail(left []LeftContainer) string {
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("container %s %s", left[0].Name, left[0].Because)
}
