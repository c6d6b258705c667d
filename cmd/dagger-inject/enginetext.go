//go:build !js

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// writeNotes writes what engines do not offer, and why.
func (seen *enginesSeen) writeNotes(out io.Writer, name string) {
	for _, d := range seen.all {
		for _, note := range d.Notes {
			if name == "" || name == d.Workload.Name {
				_ = terminal.Line(out, "%s: %s", d.Workload, note)
			}
		}
	}
}

// writeOne shows the workloads of one name; there may be several, of different kinds.
func (f *engineFlags) writeOne(out io.Writer, seen *enginesSeen, name string) error {
	var names []string
	shown := false
	for _, d := range seen.all {
		names = append(names, d.Workload.String())
		if d.Workload.Name != name {
			continue
		}
		shown = true
		var err error
		if f.output != "" {
			err = writeObject(out, f.output, d)
		} else {
			err = printEngine(out, d)
		}
		if err != nil {
			return err
		}
	}
	if !shown {
		return fmt.Errorf("%s is no engine: there is %s", name, strings.Join(names, ", "))
	}
	return nil
}

func printEngine(out io.Writer, d *engine.Discovered) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		_ = terminal.Line(&b, "%-14s"+format, append([]any{name}, args...)...)
	}
	line("engine", "%s", d.Workload)
	line("image", "%s", d.Image)
	if d.Version != "" {
		line("version", "%s", d.Version)
	}
	if d.Draining {
		line("draining", "only for pods that ask for it by name or whole version")
	}
	if d.Rollout != nil {
		line("ready", "%d of %d", d.Rollout.Ready, d.Rollout.Wanted)
	}
	if len(d.ImagePullSecrets) > 0 {
		line("pulled with", "%s", strings.Join(d.ImagePullSecrets, ", "))
	}
	if d.Socket != nil {
		line("socket", "%s/%s", d.Socket.HostPath, d.Socket.File)
	}
	if d.Group != nil {
		line("group", "%d", *d.Group)
	}
	if d.TCP != nil {
		line("port", "%d", d.TCP.Port)
	}
	if d.NodeTCP != nil {
		line("node's port", "%d", d.NodeTCP.Port)
	}
	if d.Service != nil {
		safe := "safe"
		if !d.Service.Safe {
			safe = "not safe"
		}
		line("Service", "%s, %s: %s", d.Service.Address, safe, d.Service.Reason)
	}
	if r := d.Replicas; r != nil {
		line("replicas", "%s to %s", r.Address(0), r.Address(r.Offered-1))
	}
	for _, t := range d.Tolerations {
		line("toleration", "%s", strings.TrimSpace(fmt.Sprintf("%s %s %s %s", t.Key, t.Operator, t.Value, t.Effect)))
	}
	for _, key := range slices.Sorted(maps.Keys(d.NodeSelector)) {
		line("nodeSelector", "%s=%s", key, d.NodeSelector[key])
	}
	if d.NodeAffinity != nil {
		line("nodeAffinity", "see -o yaml")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
