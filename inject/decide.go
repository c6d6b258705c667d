// Package inject decides what happens to a pod that asks for a Dagger Engine. Nothing else decides it: the webhook and the
// offline commands call Decide. The package is pure: no client, no clock, no environment, no logging.
//
// The Go API is not stable before v1: a minor version may change it, and CHANGELOG.md then says so.
package inject

import (
	"errors"
	"fmt"

	"github.com/dagger-inject/dagger-inject/config"
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
	// NodeIPv6 says that the nodes' addresses are IPv6. An address needs brackets around IPv6, and must not have them around
	// IPv4.
	NodeIPv6 bool
	// ImageVolumes says that the API server has volumes of the kind image; see HasImageVolumes.
	ImageVolumes bool
	// Version is this program's version, for the status annotation.
	Version string
	// Trace, if not nil, records how the decision comes about.
	Trace *Trace
	// Interrupted, if not nil, is called in loops over what tenants write, and stops them once it returns true; it must then
	// keep returning true. The decision ends with ReasonInternalError. It is the second line of defence behind the bounds of
	// those loops.
	Interrupted func() bool
}

// interruption is Input.Interrupted.
type interruption func() bool

func (i interruption) now() bool { return i != nil && i() }

// Decide returns what to do with a pod. The same input always gives the same plan, and deciding on the patched pod gives a plan
// without operations.
func Decide(in Input) *Plan {
	plan := &Plan{}
	p, err := readPod(in.Pod, in.RunnerSpec)
	if err != nil {
		return plan.bad(err)
	}
	asked := readOptIn(p, &in.Namespace, in.Entry)
	in.Trace.asked(asked)
	if !asked.wanted {
		return plan.skip(asked.reason, asked.detail, asked.reason == ReasonUnknownLabelValue)
	}
	if reason := unfit(p); reason != "" {
		return plan.skip(reason, "", asked.byPod)
	}
	if plan.System = recognise(p); plan.System == SystemNone {
		plan.System = in.System
	}
	if plan.System == SystemNone && !asked.byPod {
		return plan.skip(ReasonNotARunner, "", false)
	}
	if reason := in.Policies.standard.admitsNamespace(&in.Namespace, asked); reason != "" {
		return plan.skip(reason, "", asked.byPod)
	}
	policy, detail := in.Policies.choose(p)
	if policy == nil {
		return plan.cannot(ReasonAnnotationInvalid, detail, in.Policies.onError(), asked)
	}
	in.Trace.policy(policy)
	onError := policy.onError
	if policy.err != nil {
		return plan.cannot(ReasonPolicyInvalid, policy.err.Error(), onError, asked)
	}
	if reason := policy.admitsNamespace(&in.Namespace, asked); reason != "" {
		return plan.skip(reason, "", asked.byPod)
	}
	chosen, detail := policy.choose(p)
	if detail != "" {
		return plan.cannot(ReasonAnnotationInvalid, detail, onError, asked)
	}
	if len(p.containers) > maxContainers {
		return plan.cannot(ReasonPodTooLarge, fmt.Sprintf("it has %d containers, more than %d", len(p.containers), maxContainers), onError, asked)
	}
	targets, detail := chooseTargets(p, plan.System, chosen, policy.exclude, in.Trace)
	if len(targets) == 0 {
		return plan.skip(ReasonNoTargetContainer, detail, true)
	}
	if len(targets) > maxTargets {
		return plan.cannot(ReasonPodTooLarge, fmt.Sprintf("%d of its containers would be injected, more than %d", len(targets), maxTargets),
			onError, asked)
	}
	engine, connection, reason, detail := policy.chooseEngine(p, &chosen, targets, &in)
	if reason != "" {
		if interruption(in.Interrupted).now() {
			return plan.interrupted()
		}
		return plan.cannot(reason, detail, onError, asked)
	}
	i := &injection{
		policy:     policy,
		engine:     engine,
		pod:        p,
		namespace:  &in.Namespace,
		connection: connection,
		waitOff:    chosen.waitOff,
		system:     plan.System,
		session:    patch.New(in.Pod, in.Pointer, maxAdded),
		stop:       in.Interrupted,
		status:     &Status{Version: in.Version, Policy: PolicyStatus{Source: policy.source, Hash: policy.hash}},
	}
	i.chooseDelivery(chosen.delivery, plan.System, in.ImageVolumes)
	reason, detail = i.add(targets)
	if i.stop.now() {
		return plan.interrupted()
	}
	if reason != "" {
		return plan.cannot(reason, detail, onError, asked)
	}
	in.Trace.settle(i.status)
	ops, err := i.session.Operations()
	switch {
	case errors.Is(err, patch.ErrTooLarge):
		return plan.cannot(ReasonPodTooLarge,
			fmt.Sprintf("more than %d bytes would be added to it: the policy's env alone has %d bytes for each of %d containers",
				maxAdded, policy.envBytes, len(targets)), onError, asked)
	case err != nil:
		return plan.bad(err)
	}
	plan.Operations, plan.Status = ops, i.status
	switch {
	case len(i.status.Containers) == 0:
		return plan.skip(ReasonAlreadyWired, leftDetail(i.status.Left), false)
	case len(ops) == 0:
		plan.Decision, plan.Reason = DecisionInjected, ReasonAlreadyInjected
	default:
		plan.Decision, plan.Reason = DecisionInjected, ReasonInjected
	}
	plan.warnAbout(i, targets, in.Entry)
	return plan
}

const (
	// maxContainers bounds how many containers are compared with patterns. No pod that runs has that many.
	maxContainers = 1024
	// maxTargets bounds how many are injected: an empty container of two bytes gains several hundred.
	maxTargets = 256
	// maxAdded bounds the bytes of a patch. etcd refuses objects of more than 1.5 MiB.
	maxAdded = 1 << 20
)

func leftDetail(left []LeftContainer) string {
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("container %s %s", left[0].Name, left[0].Because)
}

// warnAbout warns of what works differently from what the user may expect.
func (plan *Plan) warnAbout(i *injection, targets []*container, entry Entry) {
	if i.delivery != config.DeliveryNone && !i.engine.cli.enabled() {
		plan.warn("the pod gets no dagger command: the policy names no cli.image.")
	}
	if because := sandbox(i.pod, i.engine, i.policy.ownKernel(i.pod)); because != "" && i.connection.transport == config.TransportSocket {
		plan.warn("the pod is given the node's socket, as engine.transport names it, and may be unable to use it: " + because + ".")
	}
	i.defeated.warn(plan)
	i.warnAboutImage(plan)
	i.warnAboutStorage(plan)
	if plan.System != SystemARC && plan.System != SystemARCLegacy || i.namespace.Labels[LabelInject] == "true" || entry == EntryNamespace {
		return
	}
	for _, c := range targets {
		if c.env("ACTIONS_RUNNER_CONTAINER_HOOKS").IsSet() {
			plan.warn(fmt.Sprintf("this runner runs its jobs in pods of their own, which do not carry its label: label the namespace %s=true, so "+
				"that they are injected too.", LabelInject))
			return
		}
	}
}
