package config

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
