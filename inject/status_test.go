package inject

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// BenchmarkStatus writes the same status in turn as the decision does and with encoding/json. The metric is what the first takes of the
// second.
func BenchmarkStatus(b *testing.B) {
	s := &Status{
		Version: "v1.2.3", Policy: PolicyStatus{Source: "ConfigMap dagger-inject/dagger-inject-policy", Hash: "sha256:e223c0f7da32"},
		Transport: "socket", Engine: "unix:///run/dagger/engine.sock", CLI: "init-container", CLIImage: "registry.dagger.io/engine:v0.21.8",
		Wait: "on", Containers: []string{"build"}, InitContainers: []string{initContainerCLI, initContainerWait},
		Volumes: []string{volumeSocket, volumeCLI}, ReadFrom: "DaemonSet dagger/dagger-dagger-helm-engine",
	}
	var own, library []time.Duration
	for b.Loop() {
		started := time.Now()
		_ = s.appendJSON(make([]byte, 0, 768))
		between := time.Now()
		if _, err := json.Marshal(s); err != nil {
			b.Fatal(err)
		}
		own, library = append(own, between.Sub(started)), append(library, time.Since(between))
	}
	slices.Sort(own)
	slices.Sort(library)
	b.ReportMetric(float64(own[len(own)/2])/float64(library[len(library)/2]), "x-encoding/json")
}
