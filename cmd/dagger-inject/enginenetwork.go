//go:build !js

package main

import (
	"fmt"
	"io"

	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/internal/engines"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// outputNetworkPolicy is the output format that is a NetworkPolicy for each engine.
const outputNetworkPolicy = "networkpolicy"

// writeNetworkPolicies writes those of all engines, or of the one of a name. An engine that can have none is named with the reason.
func (seen *enginesSeen) writeNetworkPolicies(s streams, name string) error {
	written := 0
	for _, d := range seen.all {
		if name != "" && name != d.Workload.Name {
			continue
		}
		policy, err := engines.NetworkPolicy(d, seen.read.workloads[d.Workload.Namespace], seen.read.documents)
		if err != nil {
			_ = terminal.Line(s.err, "%v", err)
			continue
		}
		text, err := yaml.Marshal(policy)
		if err != nil {
			return err
		}
		if written++; written > 1 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := s.out.Write(text); err != nil {
			return err
		}
	}
	if written == 0 {
		return fmt.Errorf("no NetworkPolicy to write: no engine listens on a port that one can protect")
	}
	if seen.read.documents == nil {
		_, _ = io.WriteString(s.err, "the cluster's policy is not known: by default a pod's own label counts in every namespace\n")
	}
	return nil
}
