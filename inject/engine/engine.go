// Package engine describes Dagger Engines as pods can use them: it finds them among workloads, reads how they can be reached,
// and compares their versions.
package engine

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
)

// Engine is a Dagger Engine that pods can be connected to. A part that the engine does not offer is nil or empty.
type Engine struct {
	// Socket is the engine's Unix socket on each node that runs it.
	Socket *Socket
	// NodeTCP is the engine's port on each node that runs it.
	NodeTCP *Port
	// TCP is the engine's address.
	TCP *TCP
	// Replicas are engines with addresses of their own. A pod gets one of these addresses in place of TCP.
	Replicas *Replicas
	// TLS is the engine's address behind TLS.
	TLS *TLS
	// Image is an image reference that holds the CLI of the engine's version.
	Image string
	// Identity is that of the workload that the engine was read off; empty if the policy names the engine.
	Identity
	// Unsafe names a Service of the engine that cannot be used, and says why; empty if there is none.
	Unsafe string
	// PullSecrets are the names of the Secrets that the workload's pods pull Image with; nil if Image is not the workload's.
	PullSecrets []string
	// Placement is where the engine runs, for pods that need the engine of their own node.
	Placement Placement

	named      string                    // the image that the policy names
	explicit   map[config.Transport]bool // whose address the policy names
	discovered *Discovered
}

// Placement is where an engine runs.
type Placement struct {
	Tolerations  []corev1.Toleration
	NodeSelector map[string]string
	Required     *corev1.NodeSelector
	// NotCopied are tolerations of the engine that jobs do not get, since their pods would land on nodes that are not meant
	// for jobs.
	NotCopied []string
}

// Socket is a Unix socket in a directory of the node. Pods mount the directory, since an engine that restarts creates the
// socket's file again.
type Socket struct {
	HostPath string
	File     string
	// Group is the numeric group that may connect.
	Group int64
}

// TCP is an engine behind an address, unencrypted.
type TCP struct {
	// Address is host:port.
	Address string
	// NodeLocal is true if the address leads to the engine of the pod's own node.
	NodeLocal bool
}

// TLS is an engine behind an address, encrypted.
type TLS struct {
	// Address is host:port.
	Address string
	// SecretName is the Secret with the files below; empty if the client needs none.
	SecretName                string
	CAFile, CertFile, KeyFile string
}

// Resolve returns the engine that a policy names, completed with the engine that was discovered, which may be nil. A field
// that the policy sets takes precedence. The function isSet reports whether the policy sets a field.
func Resolve(policy *config.InjectionPolicy, discovered *Discovered, isSet func(path string) bool) Engine {
	e := explicit(policy)
	d := discovered
	if d == nil {
		return e
	}
	if e.Socket == nil && d.Socket != nil {
		e.Socket = &Socket{HostPath: d.Socket.HostPath, File: d.Socket.File, Group: policy.Engine.Socket.Group}
		if isSet("engine.socket.file") {
			e.Socket.File = policy.Engine.Socket.File
		}
		if d.Group != nil && !isSet("engine.socket.group") {
			e.Socket.Group = *d.Group
		}
	}
	if e.NodeTCP == nil {
		e.NodeTCP = d.NodeTCP
	}
	switch {
	case e.TCP != nil:
	case d.Replicas != nil:
		e.Replicas = d.Replicas
	case d.Service != nil && d.Service.Safe:
		e.TCP = &TCP{Address: d.Service.Address, NodeLocal: d.Service.nodeLocal}
	}
	if d.Service != nil && !d.Service.Safe && e.Replicas == nil {
		e.Unsafe = d.Service.Address + " is not safe: " + d.Service.Reason
	}
	if e.Image == "" {
		e.Image = d.Image
	}
	if e.Image == d.Image {
		e.PullSecrets = d.ImagePullSecrets
	}
	e.discovered = d
	e.Identity, e.Placement = d.Identity, d.placement()
	return e
}

// Discovered reports whether a transport leads to the discovered engine. It does if the policy names that engine's own
// address.
func (e *Engine) Discovered(transport config.Transport) bool {
	d := e.discovered
	if d == nil {
		return false
	}
	switch transport {
	case config.TransportSocket:
		return d.Socket != nil && *d.Socket == SocketOnNode{HostPath: e.Socket.HostPath, File: e.Socket.File}
	case config.TransportNodeTCP:
		return d.NodeTCP != nil && *d.NodeTCP == *e.NodeTCP
	case config.TransportTCP:
		return e.Replicas != nil || d.Service != nil && d.Service.Address == e.TCP.Address
	}
	return false
}

// Skew says why a CLI from the image that the policy names does not work with the discovered engine, by the tags of their
// images. It is empty if they work together, or if a tag names no version.
func (e *Engine) Skew() string {
	if e.discovered == nil || e.named == "" {
		return ""
	}
	// For an image with a digest only, the chart's label is not used: it may be the version of the chart alone.
	client, version := ImageVersion(e.named), ImageVersion(e.discovered.Image)
	if client == "" || version == "" {
		return ""
	}
	if _, err := Compatible(version, client); err != nil {
		return err.Error()
	}
	if differInIDs(version, client) {
		return fmt.Sprintf("a client of %s connects to an engine of %s, but %s", client, version, idsDiffer)
	}
	return ""
}

// placement returns what brings a pod to the engine's nodes.
func (d *Discovered) placement() Placement {
	p := Placement{NodeSelector: d.NodeSelector}
	for _, t := range d.Tolerations {
		if t.Key == "" || strings.HasPrefix(t.Key, "node.kubernetes.io/") || strings.HasPrefix(t.Key, "node-role.kubernetes.io/") {
			p.NotCopied = append(p.NotCopied, strings.TrimSpace(t.Key+" "+string(t.Operator)))
			continue
		}
		p.Tolerations = append(p.Tolerations, t)
	}
	if d.NodeAffinity != nil {
		p.Required = d.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return p
}

func explicit(policy *config.InjectionPolicy) Engine {
	e := Engine{Image: policy.CLI.Image, named: policy.CLI.Image}
	e.explicit = map[config.Transport]bool{
		config.TransportSocket: policy.Engine.Socket.HostPath != "", config.TransportNodeTCP: policy.Engine.NodeTCP.Port != 0,
		config.TransportTCP: policy.Engine.TCP.Address != "",
	}
	if s := policy.Engine.Socket; s.HostPath != "" {
		e.Socket = &Socket{HostPath: s.HostPath, File: s.File, Group: s.Group}
	}
	if policy.Engine.TCP.Address != "" {
		e.TCP = &TCP{Address: policy.Engine.TCP.Address}
	}
	if port := policy.Engine.NodeTCP.Port; port != 0 {
		e.NodeTCP = &Port{Port: port}
	}
	if t := policy.Engine.TLS; t.Address != "" {
		e.TLS = &TLS{Address: t.Address, SecretName: t.SecretName, CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile}
	}
	return e
}

// Attribute leaves an address that a policy names with the engine that was discovered at that address, and removes it from the
// others. Resolve has given it to all of them. If no engine was discovered there, all keep it.
func Attribute(engines []Engine) {
	for transport, take := range map[config.Transport]func(*Engine){
		config.TransportSocket:  func(e *Engine) { e.Socket = nil },
		config.TransportNodeTCP: func(e *Engine) { e.NodeTCP = nil },
		config.TransportTCP:     func(e *Engine) { e.TCP = nil },
	} {
		named := func(e *Engine) bool { return e.explicit[transport] }
		there := func(e Engine) bool { return named(&e) && e.Discovered(transport) }
		if !slices.ContainsFunc(engines, there) {
			continue
		}
		for i := range engines {
			if e := &engines[i]; named(e) && !e.Discovered(transport) {
				take(e)
			}
		}
	}
}
