// Package engine is what a Dagger Engine is to a pod that wants to use one.
package engine

import "github.com/dagger-inject/dagger-inject/config"

// Engine is a Dagger Engine that pods can be connected to. A part that the engine does not offer is nil or empty.
type Engine struct {
	// Socket is the engine's Unix socket on each node that runs it.
	Socket *Socket
	// NodeTCP is the engine's port on each node that runs it.
	NodeTCP *Port
	// TCP is the engine's address.
	TCP *TCP
	// TLS is the engine's address behind TLS.
	TLS *TLS
	// Image is an image reference that holds the CLI of the engine's version.
	Image string
}

// Socket is a Unix socket in a directory of the node. The directory is what pods mount: a restarted engine makes the
// socket's file anew.
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
}

// TLS is an engine behind an address, encrypted.
type TLS struct {
	// Address is host:port.
	Address string
	// SecretName is the Secret with the files below; empty where the client needs none.
	SecretName                string
	CAFile, CertFile, KeyFile string
}

// Explicit returns the engine that a policy names field by field.
func Explicit(policy *config.InjectionPolicy) Engine {
	e := Engine{Image: policy.CLI.Image}
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
