package main

import (
	"fmt"

	"sigs.k8s.io/yaml"
)

// plugin is krew's manifest of a plugin (krew.sigs.k8s.io, the developer guide; sigs.k8s.io/krew, pkg/index).
type plugin struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       pluginSpec        `json:"spec"`
}

type pluginSpec struct {
	Version          string           `json:"version"`
	Homepage         string           `json:"homepage"`
	ShortDescription string           `json:"shortDescription"`
	Description      string           `json:"description"`
	Caveats          string           `json:"caveats"`
	Platforms        []pluginPlatform `json:"platforms"`
}

type pluginPlatform struct {
	Selector selector `json:"selector"`
	URI      string   `json:"uri"`
	SHA256   string   `json:"sha256"`
	Bin      string   `json:"bin"`
}

type selector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// krew returns the manifest of the archives. krew itself links the program as kubectl-dagger.
func (r *release) krew(archives []archive) ([]byte, error) {
	p := plugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: map[string]string{"name": "dagger"},
		Spec: pluginSpec{
			Version:          r.version,
			Homepage:         "https://github.com/dagger-inject/dagger-inject",
			ShortDescription: "Say why a CI pod has a Dagger Engine or none",
			Description: "Explains what the dagger-inject webhook does to CI runner pods, and why: the engine, the policy, the transport,\n" +
				"and where jobs go. Checks an installation, compares a fleet with a policy before it is applied, and migrates\n" +
				"manifests that were wired to a Dagger Engine by hand.\n",
			// krew links the program alone, and shows this when it has installed it.
			Caveats: "On Linux and macOS, kubectl completes namespaces, pods and profiles once what asks for them is on PATH too:\n" +
				"  cp ${KREW_ROOT:-$HOME/.krew}/store/dagger/" + r.version + "/kubectl_complete-dagger ${KREW_ROOT:-$HOME/.krew}/bin/\n",
		},
	}
	for _, a := range archives {
		p.Spec.Platforms = append(p.Spec.Platforms, pluginPlatform{
			Selector: selector{map[string]string{"os": a.system, "arch": a.arch}},
			URI:      fmt.Sprintf("%s/%s/%s", r.url, r.version, a.name), SHA256: a.sum, Bin: programName(a.system),
		})
	}
	return yaml.Marshal(p)
}
