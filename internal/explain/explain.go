// Package explain describes how a decision on a pod comes about. It gathers what the webhook would know, lets inject.Decide
// decide, and puts the decision, its trace and the related state of the cluster in the order in which a person would ask for
// them.
package explain

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// Explainer explains decisions with what a reader knows of a cluster.
type Explainer struct {
	// Reader reads the cluster, or manifests that stand for one.
	Reader client.Reader
	// Offline says that objects which Reader does not have are unknown rather than missing.
	Offline bool
	// ReleaseNamespace is where the cluster's policy is.
	ReleaseNamespace string
	// Policies, if not nil, replaces the ConfigMaps.
	Policies func(inject.Engines) *inject.Policies
	// ClusterPolicy, if not nil, replaces the cluster's ConfigMap, and those of namespaces refine it.
	ClusterPolicy *config.Documents
	// Engines, if not nil, replaces the workloads. The pods are in the namespace own.
	Engines func(own string) inject.Engines
	// Ready, if not nil, replaces the pods of engines in some namespaces.
	Ready func(namespaces []string) (engine.Ready, error)
	// Cluster is what is known of the cluster. NodeIPv6 is read off a node where it is not set.
	Cluster inject.Cluster
	// Version is this program's version.
	Version string
}

// Outcome is what a decision means, in a word.
type Outcome string

// The outcomes.
const (
	OutcomeInjected     Outcome = "injected"
	OutcomeDoesNotApply Outcome = "does not apply"
	OutcomeCannot       Outcome = "cannot"
	OutcomeUnknown      Outcome = "unknown"
)

// Explanation is a decision and how it came about.
type Explanation struct {
	// Subject is the object that is explained, as Kind namespace/name.
	Subject string `json:"subject"`
	// Judged says what the decision was made on, if not on the subject itself.
	Judged string `json:"judged,omitempty"`
	// Outcome, Decision and Reason are the verdict, and Message is the verdict's sentence with its remedy.
	Outcome  Outcome         `json:"outcome"`
	Decision inject.Decision `json:"decision,omitempty"`
	Reason   inject.Reason   `json:"reason,omitempty"`
	Message  string          `json:"message"`
	// Entries are the webhook's entries, and whether the API server would call each.
	Entries []Entry `json:"entries,omitempty"`
	// AskedBy says whose label asks for injection: pod, optional (the pod's, with that value), namespace, or empty if neither does.
	AskedBy inject.Asker `json:"askedBy,omitempty"`
	// Policy is the policy that holds.
	Policy *Policy `json:"policy,omitempty"`
	// System is the CI system that the pod is recognised as a job of.
	System inject.System `json:"system,omitempty"`
	// ContainersBy says what names the containers; empty if the rule for the system does.
	ContainersBy string                  `json:"containersBy,omitempty"`
	Containers   []inject.ContainerTrace `json:"containers,omitempty"`
	// Engines are those among which one was chosen; none if there was no choice.
	EngineChoices []inject.EngineChoice   `json:"engines,omitempty"`
	Transports    []inject.TransportTrace `json:"transports,omitempty"`
	// Engine is what was known of an engine in the cluster.
	Engine *inject.EngineTrace `json:"engine,omitempty"`
	// Scheduling is what is added for scheduling, and the nodes that match now.
	Scheduling *Scheduling `json:"scheduling,omitempty"`
	// Status is what the status annotation would say.
	Status *inject.Status `json:"status,omitempty"`
	// Recorded is what the status annotation of an existing pod says.
	Recorded *Recorded `json:"recorded,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
	// Unreadable lists what could not be read, and why. The verdict holds as far as it does not depend on that.
	Unreadable []string `json:"unreadable,omitempty"`
}

// job is one explanation in progress.
type job struct {
	*Explainer
	*Explanation
	ctx     context.Context
	engines *cluster.Engines

	namespace      inject.Namespace
	namespaceKnown bool
	excluded       bool             // no pod of the namespace is sent to the webhook
	policies       *inject.Policies // nil if the policy cannot be read
	trace          inject.Trace
	node           string // where the pod runs, empty for nowhere
	enginesReady   engine.Ready
	plan           *inject.Plan
}

// subject is what is explained.
type subject struct {
	name, judged string
	namespace    string
	template     inject.Template
	recorded     string // the status annotation of a pod that exists
	node         string // where it runs, empty for nowhere
	exists       bool
}

// explain runs the decision.
func (e *Explainer) explain(ctx context.Context, s subject) *Explanation {
	j := &job{
		Explainer: e, Explanation: &Explanation{Subject: s.name, Judged: s.judged}, ctx: ctx,
		engines: cluster.NewEngines(ctx, e.Reader, s.namespace), node: s.node,
	}
	j.readNamespace(s.namespace)
	j.readPolicies()
	entry, called := j.readEntries(s.template)
	in := inject.Input{
		Pod: s.template.Pod, Namespace: j.namespace, Entry: entry, System: s.template.System, RunnerSpec: s.template.RunnerSpec,
		Policies: j.policies, Cluster: e.Cluster, Version: e.Version, Trace: &j.trace,
	}
	in.Cluster.NodeIPv6 = e.nodeIPv6(ctx)
	if in.Policies == nil {
		in.Policies = inject.NewPolicies(nil, nil, nil)
	}
	in.Ready = j.ready(in.Policies.CacheAffinityNamespaces())
	j.plan = inject.Decide(in)
	j.System, j.Warnings = j.plan.System, j.plan.Warnings
	j.AskedBy, j.ContainersBy, j.Containers, j.Transports = j.trace.AskedBy, j.trace.ContainersBy, j.trace.Containers, j.trace.Transports
	if j.EngineChoices = j.trace.Engines; len(j.Transports)+len(j.trace.Engines) > 0 {
		j.Engine = &j.trace.Engine
	}
	j.conclude(called)
	if j.trace.OnError != "" {
		j.Policy = j.policy(s.template.Pod)
	}
	if j.Outcome == OutcomeInjected {
		j.Status, j.Scheduling = j.plan.Status, j.scheduling(s.template.Pod)
	}
	if s.exists {
		j.Recorded = j.compare(s.recorded)
	}
	return j.Explanation
}

// ready reads which pods of engines are ready, for placement by cache.
func (j *job) ready(namespaces []string) engine.Ready {
	read := j.Ready
	if read == nil {
		read = func(namespaces []string) (engine.Ready, error) {
			return cluster.ReadyEngines(j.ctx, j.Reader, namespaces)
		}
	}
	ready, err := read(namespaces)
	if err != nil {
		j.unreadable("which engines are ready", err)
	}
	j.enginesReady = ready
	return ready
}

// unreadable records what could not be read.
func (j *job) unreadable(what string, err error) {
	j.Unreadable = append(j.Unreadable, fmt.Sprintf("%s: %v", what, err))
}

// conclude derives the verdict from the decision.
func (j *job) conclude(called bool) {
	p := j.plan
	j.Decision, j.Reason, j.Message = p.Decision, p.Reason, p.Message()
	switch p.Reason.Class() {
	case inject.ClassInjected:
		j.Outcome = OutcomeInjected
	case inject.ClassDoesNotApply:
		j.Outcome = OutcomeDoesNotApply
		if j.excluded && p.Reason == inject.ReasonNotRequested {
			j.notCalled() // the reason's remedy, to ask for injection, would not help
		}
		return
	case inject.ClassFault:
		j.Outcome = OutcomeUnknown
		return
	default:
		j.Outcome = OutcomeCannot
	}
	switch {
	case p.Reason == inject.ReasonPolicyInvalid && j.policies == nil:
		j.unknown("the policy cannot be read from here")
	case p.Reason == inject.ReasonNoEngine && j.engines.Err(j.trace.Engine.Namespace) != nil:
		j.unknown("the engine's namespace " + j.trace.Engine.Namespace + " cannot be read from here")
	case called || j.Entries == nil && j.Offline:
	case j.Entries == nil:
		if !j.couldNotRead(webhookConfigurations) {
			j.Outcome, j.Decision, j.Reason = OutcomeCannot, "", ""
			j.Message = "The webhook is not installed: no MutatingWebhookConfiguration has its entries. Install the chart dagger-inject."
		}
	default:
		j.notCalled()
	}
}

// notCalled sets the verdict for a pod that is not sent to the webhook.
func (j *job) notCalled() {
	j.Outcome, j.Decision, j.Reason = OutcomeDoesNotApply, "", ""
	j.Message = "The API server does not call the webhook for this pod: no entry selects it."
	if j.excluded {
		j.Message = "The API server does not call the webhook for pods of this namespace: the webhook configuration excludes it " +
			"(kube-system and its like, the release's own, and the chart's webhook.excludedNamespaces). Run the job in another namespace."
	}
}

func (j *job) unknown(because string) {
	j.Outcome, j.Decision, j.Reason = OutcomeUnknown, "", ""
	j.Message = "What would happen is not known: " + because + "."
	j.Warnings = nil // the cluster does not make this decision
}

func (j *job) couldNotRead(what string) bool {
	for _, line := range j.Unreadable {
		if strings.HasPrefix(line, what+": ") {
			return true
		}
	}
	return false
}

func (j *job) readNamespace(name string) {
	j.namespace = inject.Namespace{Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}}
	var ns corev1.Namespace
	err := j.Reader.Get(j.ctx, client.ObjectKey{Name: name}, &ns)
	switch {
	case err == nil:
		j.namespaceKnown = true
		for key, value := range ns.Labels {
			j.namespace.Labels[key] = value
		}
		j.namespace.Annotations = ns.Annotations
	case apierrors.IsNotFound(err) && j.Offline:
		j.namespaceKnown = true
	default:
		j.unreadable("the namespace "+name, err)
	}
	var ranges corev1.LimitRangeList
	if err := j.Reader.List(j.ctx, &ranges, client.InNamespace(name)); err != nil {
		j.unreadable("the LimitRanges of "+name, err)
	}
	j.namespace.Limits = inject.LimitsOf(ranges.Items)
}

func (j *job) readPolicies() {
	engines := j.discover
	if j.Engines != nil {
		engines = j.Engines(j.namespace.Name)
	}
	if j.Policies != nil {
		j.policies = j.Policies(engines)
		return
	}
	documents, err := j.ClusterPolicy, error(nil)
	if documents == nil {
		documents, err = cluster.PolicyDocuments(j.ctx, j.Reader, j.ReleaseNamespace, config.OriginCluster)
	}
	if err != nil {
		if apierrors.IsForbidden(err) {
			err = fmt.Errorf("%w; the chart's value policyReaders names who may", err)
		}
		j.unreadable("the cluster's policy", err)
		return
	}
	var own *config.Documents
	if j.namespace.Name != j.ReleaseNamespace {
		if own, err = cluster.PolicyDocuments(j.ctx, j.Reader, j.namespace.Name, config.OriginNamespace); err != nil {
			j.unreadable("the namespace's policy", err)
			return
		}
	}
	j.policies = inject.NewPolicies(documents, own, engines)
}

// nodeIPv6 reads the nodes' address family from the first node, as the webhook does from its own.
func (e *Explainer) nodeIPv6(ctx context.Context) bool {
	var nodes corev1.NodeList
	if e.Cluster.NodeIPv6 || e.Reader.List(ctx, &nodes, client.Limit(1)) != nil {
		return e.Cluster.NodeIPv6
	}
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				return strings.Contains(address.Address, ":")
			}
		}
	}
	return false
}
