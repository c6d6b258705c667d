// Package config is what an operator writes: the injection policy, its strict parsing, its defaults and its validation.
//
// Neither the Go API nor the schema of policies is stable before v1: a minor version may change them, and CHANGELOG.md then says so.
package config

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
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
	// Wait says whether a pod waits for the engine before its own containers start.
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

// Engine says where the engine is and how pods reach it.
type Engine struct {
	// Discover reads engines off their live workloads.
	Discover Discover `json:"discover,omitempty"`
	// Transport is how pods reach the engine: auto, socket, node-tcp, tcp, tls or sidecar. auto is the first of the others that can
	// work for the pod, and never sidecar. A namespace or a pod that may choose the transport may choose sidecar only if
	// overrides also lists engine.sidecar.
	Transport Transport `json:"transport,omitempty"`
	// Socket is the engine's Unix socket on the node.
	Socket Socket `json:"socket,omitempty"`
	// NodeTCP is the engine's port on the pod's own node.
	NodeTCP NodeTCP `json:"nodeTCP,omitempty"`
	// TCP is an engine behind an address, unencrypted.
	TCP TCP `json:"tcp,omitempty"`
	// TLS is an engine behind an address, encrypted.
	TLS TLS `json:"tls,omitempty"`
	// Sidecar is an engine of the pod's own, for the transport sidecar.
	Sidecar Sidecar `json:"sidecar,omitempty"`
}

// Transport is how a pod reaches the engine.
type Transport string

// The transports of a policy.
const (
	TransportAuto    Transport = "auto"
	TransportSocket  Transport = "socket"
	TransportNodeTCP Transport = "node-tcp"
	TransportTCP     Transport = "tcp"
	TransportTLS     Transport = "tls"
	TransportSidecar Transport = "sidecar"
)

// Discover says which workloads are engines, and which of them pods are given.
type Discover struct {
	// Namespace is where the engines' workloads are. Default: dagger.
	Namespace string `json:"namespace,omitempty"`
	// OwnNamespace looks for the engine in the pod's own namespace instead. The webhook must then read the workloads and
	// Services of all namespaces, which the chart's value discover.ownNamespace permits.
	OwnNamespace bool `json:"ownNamespace,omitempty"`
	// Selector narrows the workloads by their labels, where a namespace has engines that are not for these pods.
	Selector metav1.LabelSelector `json:"selector,omitempty"`
	// Version is the one that pods are given an engine of, where the namespace has several: v0.21.8, the newest of v0.21 or of v0, or
	// latest, as with none, for the newest that is ready. A pod may ask for another, or for a workload by its name, with
	// dagger.io/engine.
	Version string `json:"version,omitempty"`
}

// Socket is the engine's Unix socket on the node.
type Socket struct {
	// HostPath is the directory on the node that holds the socket, an absolute path. Default: read off the engine's
	// workload; the chart's default release has /run/dagger-dagger-dagger-helm.
	HostPath string `json:"hostPath,omitempty"`
	// File is the socket's name in that directory. Default: engine.sock.
	File string `json:"file,omitempty"`
	// MountPath is where the directory is mounted in containers, an absolute path. In a container whose own mounts are in the
	// way, a read-only one above it say, it is /dagger-inject/run instead. Default: /run/dagger.
	MountPath string `json:"mountPath,omitempty"`
	// Group is the numeric group that may connect to the socket, from 0 to 2147483647. Default: 1001, the chart's.
	Group int64 `json:"group,omitempty"`
	// IgnorePodSecurity offers the socket even if the namespace's Pod Security level forbids hostPath volumes. It is for
	// clusters that exempt the jobs' users, runtime classes or namespaces from that level. In other clusters Pod Security
	// refuses such pods.
	IgnorePodSecurity bool `json:"ignorePodSecurity,omitempty"`
	// RuntimeClasses are the runtime classes whose pods share the node's kernel, and so can use its sockets. The pods of Kata
	// and gVisor do not: for pods of a class that is not in the list, auto skips the socket. Names may have the wildcards of
	// path.Match. Default: the classes of NVIDIA's GPU operator, nvidia, nvidia-cdi and nvidia-legacy.
	RuntimeClasses []string `json:"runtimeClasses,omitempty"`
	// SELinuxOptions are added to the injected containers that use the socket and to the wait for it, unless they or their pod
	// set some. Nodes that enforce SELinux need them: a container of the usual type, container_t, may not connect to the
	// engine's socket, which lies in a directory of the node and whose listener is privileged (spc_t). Prefer a type of your
	// own that may connect: spc_t removes the confinement of the job. Default: none.
	SELinuxOptions corev1.SELinuxOptions `json:"seLinuxOptions,omitempty"`
}

// NodeTCP is the engine's port on the pod's own node.
type NodeTCP struct {
	// Port is the engine's host port, from 1 to 65535. Default: read off the engine's workload.
	Port int32 `json:"port,omitempty"`
}

// TCP is an engine behind an address.
type TCP struct {
	// Address is host:port; an IPv6 address stands in brackets. Default: the engine's Service, if it is safe.
	Address string `json:"address,omitempty"`
}

// TLS is an engine behind an address, with TLS.
type TLS struct {
	// Address is host:port; the host is the name in the engine's certificate.
	Address string `json:"address,omitempty"`
	// SecretName is the Secret, in the pod's namespace, with the CA and the client's certificate and key. Without one, the
	// client trusts what its image trusts, and presents no certificate.
	SecretName string `json:"secretName,omitempty"`
	// CAFile is the key of the CA's certificate in the Secret; empty for none. Default: ca.crt, as in cert-manager's Secrets.
	CAFile string `json:"caFile,omitempty"`
	// CertFile is the key of the client's certificate; empty, together with keyFile, for none. Default: tls.crt.
	CertFile string `json:"certFile,omitempty"`
	// KeyFile is the key of the client's private key. Default: tls.key.
	KeyFile string `json:"keyFile,omitempty"`
}

// Sidecar is an engine of the pod's own, for jobs that must share neither cache nor engine with others. It is a privileged native
// sidecar: an init container that Kubernetes keeps running until the pod's own containers have ended. Pod Security forbids it
// unless the namespace's level is privileged.
type Sidecar struct {
	// Image is the engine's, v0.17 or later, whose entrypoint starts it. Pods are given the CLI of the same image, whatever
	// cli.image says. Default: the image of the engine that is read off the cluster.
	Image string `json:"image,omitempty"`
	// Resources of the engine's container. Requests and limits must be equal, so that a Guaranteed pod stays Guaranteed; one of
	// the two may be left out. In a pod without any CPU or memory of its own, the container has none either. In a pod with
	// resources for the pod as a whole, it has none of those that the pod names, and shares the pod's. Default: 1 CPU, 2Gi
	// memory.
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
	// CacheVolume is where the engine keeps its cache and the containers that it runs.
	CacheVolume CacheVolume `json:"cacheVolume,omitempty"`
}

// CacheVolume is the volume of an engine of the pod's own. It is new with each pod, and deleted with it.
type CacheVolume struct {
	// SizeLimit is how large the volume may become on the node's disk before the kubelet evicts the pod. Default: 20Gi.
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
	// ClaimSize makes it a generic ephemeral volume instead: a PersistentVolumeClaim of that size, ReadWriteOnce.
	ClaimSize *resource.Quantity `json:"claimSize,omitempty"`
	// StorageClassName is the claim's. Default: the cluster's default class.
	StorageClassName string `json:"storageClassName,omitempty"`
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
}

// CLI says how the dagger command comes into the pod.
type CLI struct {
	// Delivery is auto, init-container, image-volume or none. auto is the init container, which copies the CLI to path.
	// image-volume mounts the image's own folder and copies nothing: the CLI is /opt/dagger/bin/dagger, which
	// _EXPERIMENTAL_DAGGER_CLI_BIN names and PATH does not. It needs Kubernetes 1.35 on the server and the nodes, containerd
	// 2.1, and on OpenShift a SecurityContextConstraint that lists the volume type image. The feature gate ImageVolume must not
	// be off: the webhook sees only the version, and the API server refuses such pods without the gate. On older servers, and
	// in legacy ARC's pods, the init container replaces it.
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
	// the two may be left out. In a pod without any CPU or memory of its own, the container has none either: the pod stays
	// BestEffort. Default: 100m CPU, 64Mi memory.
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

// Wait says whether a pod waits for the engine before its own containers start.
type Wait struct {
	// Enabled adds the init container that waits. A pod with a mesh's proxy gets it for the socket only. Default: true.
	Enabled bool `json:"enabled,omitempty"`
	// Timeout is how long it waits: auto, or from 1s to 1h. auto is 1m in the pods of GitLab Runner, 10m in the runners of ARC,
	// which deletes a runner whose init container has failed six times, and 2m in others. In the pods of GitLab Runner it is 1m at
	// most, because GitLab gives them three minutes to start, pulls included. Default: auto.
	Timeout Timeout `json:"timeout,omitempty"`
	// OnTimeout says what happens to the pod if no engine answers in time: fail or continue. Default: fail.
	OnTimeout OnTimeout `json:"onTimeout,omitempty"`
	// Image is this program's own image, with the program at /dagger-inject. Without one, no pod waits.
	Image string `json:"image,omitempty"`
	// ImagePullSecret is the Secret, in the pod's namespace, that the image is pulled with. It is added to the pod's own, and
	// it need not exist in every namespace.
	ImagePullSecret string `json:"imagePullSecret,omitempty"`
	// Resources of the init container. Requests and limits must be equal, so that a Guaranteed pod stays Guaranteed; one of
	// the two may be left out. In a pod without any CPU or memory of its own, the container has none either: the pod stays
	// BestEffort. Default: 100m CPU, 64Mi memory.
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
}

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
	// engine.transport, engine.tcp, engine.tls, engine.discover.version, cli.delivery, wait.enabled, wait.timeout,
	// wait.onTimeout, containers, env, cloudToken, runners and the scheduling additions.
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

// FieldSidecar is the path of the section that whoever chooses the transport sidecar must be let set.
const FieldSidecar = "engine.sidecar"
