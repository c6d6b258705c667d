package integration

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/discovery"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
)

// apiServer is what the API server of these tests says of itself: `make matrix` runs them at other versions.
type apiServer struct {
	version      string
	imageVolumes bool
}

func askVersion(cp *controlplane.ControlPlane) (s apiServer, err error) {
	client, err := discovery.NewDiscoveryClientForConfig(cp.Config())
	if err != nil {
		return s, err
	}
	info, err := client.ServerVersion()
	if err != nil {
		return s, fmt.Errorf("asking the API server for its version: %w", err)
	}
	s.version = info.GitVersion
	s.imageVolumes, err = inject.HasImageVolumes(s.version)
	return s, err
}

// has reports whether the API server is of a version or a newer one.
func (s apiServer) has(since string) bool {
	return version.MustParseGeneric(s.version).AtLeast(version.MustParseGeneric(since))
}

// podResources is the first version that has the resources of a whole pod by default.
const podResources = "1.34"

// needs skips a test of what the API server lacks, if it is older than the first version that has it by default.
func needs(t *testing.T, since, what string) {
	t.Helper()
	if !shared.apiServer.has(since) {
		t.Skipf("it needs %s, which Kubernetes has from %s on; the API server is %s", what, since, shared.apiServer.version)
	}
}

// needsFieldsOf skips a test whose pod has fields that the API server drops. Those that are empty it may drop: GitLab Runner sends
// such resources whatever the version of the server.
func needsFieldsOf(t *testing.T, spec *corev1.PodSpec) {
	t.Helper()
	if r := spec.Resources; r != nil && !shared.apiServer.has(podResources) {
		if len(r.Requests)+len(r.Limits)+len(r.Claims) > 0 {
			needs(t, podResources, "the resources of a whole pod")
		}
		spec.Resources = nil
	}
	for _, volume := range spec.Volumes {
		if volume.Image != nil {
			needs(t, "1.35", "image volumes")
		}
	}
}
