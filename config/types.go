// Package config is what an operator writes: the injection policy, its strict parsing, its defaults and its validation.
//
// Neither the Go API nor the schema of policies is stable before v1: a minor version may change them, and CHANGELOG.md then says so.
package config

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// APIVersion is the apiVersion of a policy document.
	APIVersion = "inject.dagger.io/v1alpha1"
	// Kind is the kind of a policy document.
	Kind = "InjectionPolicy"
)

// InjectionPolicy says how pods get access to a Dagger Engine.
type InjectionPolicy struct {
	// APIVersion is inject.dagger.io/v1alpha1.
	APIVersion string `json:"apiVersion"`
	// Kind is InjectionPolicy.
	Kind string `json:"kind"`
	// Engine says where the engine is and how pods reach it.
	Engine Engine `json:"engine,omitempty"`
	// Scheduling says what is added to place pods on nodes that have an engine.
	Scheduling Scheduling `json:"scheduling,omitempty"`
	// CLI says how the dagger command comes into the pod.
	CLI CLI `json:"cli,omitempty"`
	// Wait says whether a pod waits for the engine, and when.
	Wait Wait `json:"wait,omitempty"`
	// Containers narrows the containers that are injected.
	Containers Containers `json:"containers,omitempty"`
	// Env is added to every injected container that does not set a variable of that name.
	Env []corev1.EnvVar `json:"env,omitempty"`
	// CloudToken names the Secret with the Dagger Cloud token.
	CloudToken CloudToken `json:"cloudToken,omitempty"`
	// OnError says what happens to a pod that asked for injection and cannot be injected: auto, refuse or admit.
	OnError OnError `json:"onError,omitempty"`
	// Namespaces says where injection may happen at all.
	Namespaces Namespaces `json:"namespaces,omitempty"`
	// PodSecurity says what Pod Security level holds where a namespace has no label for it.
	PodSecurity PodSecurity `json:"podSecurity,omitempty"`
	// Runners has what concerns one CI system.
	Runners Runners `json:"runners,omitempty"`
	// Overrides lists the fields that lower layers may set.
	Overrides Overrides `json:"overrides,omitempty"`
}

// Scheduling says what is added to bring pods to nodes where the engine is.
type Scheduling struct {
	// FromEngine also adds what the engine's own workload has, for pods that use the engine of their own node. Default: true.
	FromEngine bool `json:"fromEngine,omitempty"`
	// Tolerations are added unless one of the pod's covers them.
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// NodeSelector is added key by key. It is a contradiction if the pod selects another value.
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// NodeAffinity is combined with the pod's own: required terms are ANDed, preferred terms appended.
	NodeAffinity corev1.NodeAffinity `json:"nodeAffinity,omitempty"`
	// CacheAffinity prefers the nodes that have the cache of the pod's project.
	CacheAffinity CacheAffinity `json:"cacheAffinity,omitempty"`
}

// CacheAffinity prefers, for pods that use the engine of their own node, the nodes whose engines have run the same project before. Every
// project has an order of its own among the nodes with a ready engine. The first of them become preferences of the pod, never
// requirements: a job goes to the next node where one is full. Of several engines with addresses of their own, it takes the project's
// first. A namespace's policy may set enabled to false, and key, and nothing else of it.
type CacheAffinity struct {
	// Enabled adds the preferences. Karpenter before v1.5.0 never scales up for a pod that has them. Default: false.
	Enabled bool `json:"enabled,omitempty"`
	// Key is what pods must have in common to prefer the same nodes: auto, project or group. project is the repository or the pipeline
	// that the CI system names in labels, annotations or variables of the pod. group is what holds several of these: the organization,
	// or GitLab's root namespace. auto is the project, where it is known, else the runner set or workflow, else the group. The pod's
	// namespace is a part of it. Default: auto.
	Key CacheKey `json:"key,omitempty"`
	// Nodes is how many nodes of the project's order are preferred, from 1 to 32. Default: 16.
	Nodes int32 `json:"nodes,omitempty"`
	// Weight is the weight of the first node, from 1 to 100. Default: 100.
	Weight int32 `json:"weight,omitempty"`
	// LastWeight is the weight of the last node, from 1 to weight. Between the two, weights fall in equal steps: of steeper ones, jobs that
	// request little pile up on the first nodes. Default: 55.
	LastWeight int32 `json:"lastWeight,omitempty"`
}

// CacheKey is what pods must have in common to prefer the same nodes.
type CacheKey string

// The values of CacheKey.
const (
	CacheKeyAuto    CacheKey = "auto"
	CacheKeyProject CacheKey = "project"
	CacheKeyGroup   CacheKey = "group"
)

// MostCacheNodes is how many nodes CacheAffinity.Nodes may prefer.
const MostCacheNodes = 32

// CLI says how the dagger command comes into the pod.
type CLI struct {
	// Delivery is auto, init-container, image-volume or none. auto is the init container, which copies the CLI to path.
	// image-volume mounts the image's own folder and copies nothing: the CLI is /opt/dagger/bin/dagger, which
	// _EXPERIMENTAL_DAGGER_CLI_BIN names, and a script of two lines at path, for /bin/sh, runs it. It needs Kubernetes 1.35
	// on the server and the nodes, containerd 2.1, and on OpenShift a SecurityContextConstraint that lists the volume type
	// image. The feature gate ImageVolume must not be off: the webhook sees only the version, and the API server refuses
	// such pods without the gate. On older servers, and in legacy ARC's pods, the init container replaces it.
	Delivery Delivery `json:"delivery,omitempty"`
	// Image has the CLI at /usr/local/bin/dagger, and a cp command: any engine image from v0.12.5 on. Default: the image of the
	// engine itself, so that the versions agree. A node pulls it only if it does not have it (IfNotPresent), and a node with an
	// engine has it.
	Image string `json:"image,omitempty"`
	// Path is where the CLI appears in containers, an absolute path of a file. In a container whose own mounts are in the way, a
	// ConfigMap at /usr/local/bin say, it is /dagger-inject/bin/dagger instead, which _EXPERIMENTAL_DAGGER_CLI_BIN names and PATH
	// does not. Default: /usr/local/bin/dagger.
	Path string `json:"path,omitempty"`
	// Resources of the init container. Requests and limits must be equal, so that a Guaranteed pod stays Guaranteed; one of
	// the two may be left out. CPU is limited only if all containers of the pod have a limit, or a LimitRange asks for one, and then
	// to the highest of theirs, which a Guaranteed pod's container also requests: the pod as a whole asks for no more. In a pod
	// without any CPU or memory of its own, the container has none either: the pod stays BestEffort. Default: 100m CPU, 64Mi memory.
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
}

// Delivery is how the CLI comes into the pod.
type Delivery string

// The ways to deliver the CLI.
const (
	DeliveryAuto          Delivery = "auto"
	DeliveryInitContainer Delivery = "init-container"
	DeliveryImageVolume   Delivery = "image-volume"
	DeliveryNone          Delivery = "none"
)

// Wait says whether a pod waits for the engine, and when.
type Wait struct {
	// Enabled adds what waits. A pod with a mesh's proxy gets the init container for the socket only. Default: true.
	Enabled bool `json:"enabled,omitempty"`
	// When is start or use. start is an init container, before the pod's own containers start: on a node whose engine is
	// broken no job starts. use is whenever dagger is run, in the job's own log, and takes no init container: the pod starts as
	// if it were not injected. It needs what cli.delivery image-volume needs, and that delivery; other pods wait at the start.
	// It covers the dagger command at cli.path and the SDKs that _EXPERIMENTAL_DAGGER_CLI_BIN leads there. Default: start.
	When When `json:"when,omitempty"`
	// Timeout is how long it waits: auto, or from 1s to 1h. auto is 1m in the pods of GitLab Runner, 10m in the runners of ARC,
	// which deletes a runner whose init container has failed six times, and 2m in others. In the pods of GitLab Runner it is 1m at
	// most, because GitLab gives them three minutes to start, pulls included. With when: use, auto is 2m and there is no such bound.
	// Default: auto.
	Timeout Timeout `json:"timeout,omitempty"`
	// OnTimeout says what happens to the pod, or with when: use to the command, if no engine answers in time: fail or continue.
	// Default: fail.
	OnTimeout OnTimeout `json:"onTimeout,omitempty"`
	// Image is this program's own image, with the program at /dagger-inject. Without one, no pod waits. With when: use it must not be
	// older than the webhook is.
	Image string `json:"image,omitempty"`
	// ImagePullSecret is the Secret, in the pod's namespace, that the image is pulled with. It is added to the pod's own, and
	// it need not exist in every namespace.
	ImagePullSecret string `json:"imagePullSecret,omitempty"`
	// Resources of the init container. Requests and limits must be equal, so that a Guaranteed pod stays Guaranteed; one of
	// the two may be left out. CPU is limited only if all containers of the pod have a limit, or a LimitRange asks for one, and then
	// to the highest of theirs, which a Guaranteed pod's container also requests: the pod as a whole asks for no more. In a pod
	// without any CPU or memory of its own, the container has none either: the pod stays BestEffort. Default: 100m CPU, 64Mi memory.
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
}

// When says when a pod waits for the engine.
type When string

// The times to wait.
const (
	WhenStart When = "start"
	WhenUse   When = "use"
)

// Timeout is TimeoutAuto, or a duration as time.ParseDuration reads it.
type Timeout string

// TimeoutAuto is as long as the creator of the pod has patience.
const TimeoutAuto = "auto"

// Duration returns the timeout, 0 for TimeoutAuto. The error is that of time.ParseDuration.
func (t Timeout) Duration() (time.Duration, error) {
	if t == TimeoutAuto {
		return 0, nil
	}
	return time.ParseDuration(string(t))
}

// OnTimeout says what happens to the pod if no engine answers in time.
type OnTimeout string

// The values of OnTimeout. OnTimeoutFail fails the pod, OnTimeoutContinue starts it.
const (
	OnTimeoutFail     OnTimeout = "fail"
	OnTimeoutContinue OnTimeout = "continue"
)

// Containers narrows the containers that are injected. Names may have the wildcards of path.Match: *, ? and [a-z].
type Containers struct {
	// Include replaces the containers that the pod's runner system implies. It never adds containers that never run jobs:
	// docker daemons, service containers, mesh proxies.
	Include []string `json:"include,omitempty"`
	// Exclude removes containers.
	Exclude []string `json:"exclude,omitempty"`
}

// CloudToken names the Secret with the Dagger Cloud token, which the shared cloud cache needs. Injected containers get it as
// DAGGER_CLOUD_TOKEN unless they set that variable.
type CloudToken struct {
	// SecretName is a Secret in the pod's namespace.
	SecretName string `json:"secretName,omitempty"`
	// Key is the token's key in the Secret.
	Key string `json:"key,omitempty"`
}

// Runners has what concerns one CI system.
type Runners struct {
	// ARC is actions-runner-controller, with runner scale sets and before them.
	ARC ARC `json:"arc,omitempty"`
}

// ARC is actions-runner-controller.
type ARC struct {
	// HandOn has the runners of the kubernetes mode hand their opting in on to the pods in which they run their jobs. These get the
	// label dagger.io/inject=optional by a template that injection adds to the runner, unless its
	// ACTIONS_RUNNER_CONTAINER_HOOK_TEMPLATE names one. Default: true.
	HandOn bool `json:"handOn,omitempty"`
}

// OnError says what happens to a pod that asked for injection and cannot be injected.
type OnError string

// The values of OnError. OnErrorAuto refuses a pod that asked by its own label, and admits a pod whose namespace asked.
const (
	OnErrorAuto   OnError = "auto"
	OnErrorRefuse OnError = "refuse"
	OnErrorAdmit  OnError = "admit"
)

// Namespaces says where injection may happen at all.
type Namespaces struct {
	// Selector matches the labels of the namespaces in which pods may be injected; an empty one matches all.
	Selector metav1.LabelSelector `json:"selector,omitempty"`
	// PodLabel says whether a pod's own label counts in a namespace that did not opt in: allow or requireNamespaceLabel.
	// Default: allow.
	PodLabel PodLabel `json:"podLabel,omitempty"`
}

// PodLabel says whether a pod's own label counts in a namespace that did not opt in.
type PodLabel string

// The values of PodLabel.
const (
	PodLabelAllow                 PodLabel = "allow"
	PodLabelRequireNamespaceLabel PodLabel = "requireNamespaceLabel"
)

// PodSecurity says what Pod Security level holds where a namespace has no label for it.
type PodSecurity struct {
	// Default is privileged, baseline or restricted. Default: privileged.
	Default PodSecurityLevel `json:"default,omitempty"`
}

// PodSecurityLevel is a level of the Pod Security Standards.
type PodSecurityLevel string

// The levels of the Pod Security Standards.
const (
	PodSecurityPrivileged PodSecurityLevel = "privileged"
	PodSecurityBaseline   PodSecurityLevel = "baseline"
	PodSecurityRestricted PodSecurityLevel = "restricted"
)

// Overrides lists the fields that lower layers may set, by field path.
type Overrides struct {
	// FromNamespaces are the fields that a namespace's policy may set, each with everything below it. Default:
	// engine.transport, engine.tcp, engine.tls, engine.discover.version, cli.delivery, wait.enabled, wait.when, wait.timeout,
	// wait.onTimeout, containers, env, cloudToken, runners, the scheduling additions, and of scheduling.cacheAffinity enabled and key.
	FromNamespaces []string `json:"fromNamespaces,omitempty"`
	// FromPods are the fields that a pod's annotations may set: profile (dagger.io/policy), containers.include
	// (dagger.io/containers), engine.discover.version (dagger.io/engine), engine.transport (dagger.io/transport), engine.sidecar
	// (dagger.io/transport: sidecar, if engine.transport is listed too), cli.delivery (dagger.io/cli) and wait.enabled
	// (dagger.io/wait). Default: profile, containers.include and engine.discover.version.
	FromPods []string `json:"fromPods,omitempty"`
}

// FieldProfile stands in Overrides.FromPods for the choice of a profile, which is no field of a policy.
const FieldProfile = "profile"

// FieldEngineVersion is the path of the field that chooses among engines, as the annotation dagger.io/engine does.
const FieldEngineVersion = "engine.discover.version"

// FieldCacheAffinity is the path of the field that turns placement by cache on.
const FieldCacheAffinity = "scheduling.cacheAffinity.enabled"

// FieldSidecar is the path of the section that whoever chooses the transport sidecar must be let set.
const FieldSidecar = "engine.sidecar"
