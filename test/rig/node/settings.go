//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
)

const (
	// nodeName is the node's name, and its host name.
	nodeName = "dagger-inject-node"
	// The cluster's own ranges are seen only in its network namespace.
	podRange     = "10.244.0.0/16"
	serviceRange = "10.96.0.0/16"
	apiServiceIP = "10.96.0.1"
	dnsIP        = "10.96.0.10"
	pauseImage   = "dagger-inject.test/pause:1"

	// inside is where the node finds its state and its binaries, whatever hides their folders there.
	inside           = "/run/dagger-inject"
	containerdSocket = "/run/containerd/containerd.sock"
)

// settings is what up decides and the node's init process follows, in a file of the state folder.
type settings struct {
	// ID is short and the state folder's own: interfaces and control groups are named after it.
	ID string
	// HostIP and NodeIP are the ends of the link, of LinkBits bits, between the machine and the node.
	HostIP, NodeIP string
	// Kubernetes, Containerd and CoreDNS are the folders of their binaries.
	Kubernetes, Containerd, CoreDNS string
}

const linkBits = "30"

// id returns the ID of a state folder.
func id(state string) string {
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:4])
}

func (s *settings) cgroup() string { return "/dagger-inject-" + s.ID }

// link is the machine's end of the link to the node.
func (s *settings) link() string { return "inject-" + s.ID }

func settingsFile(state string) string { return filepath.Join(state, "settings.json") }

func readSettings(state string) (*settings, error) {
	text, err := os.ReadFile(settingsFile(state))
	if err != nil {
		return nil, err
	}
	s := new(settings)
	return s, json.Unmarshal(text, s)
}

func (s *settings) write(state string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(settingsFile(state), text, 0o600)
}
