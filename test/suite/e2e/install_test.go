package e2e

import (
	"context"

	"github.com/dagger-inject/dagger-inject/test/rig/onnode"
)

// install gives our node our image, cert-manager, and the webhook by its chart.
func install(ctx context.Context) (uninstall func(), err error) {
	return onnode.Install(ctx, onnode.Options{
		State: cluster.node, Client: cluster.Client, Values: []string{"--set-json", "profiles=" + profiles},
	})
}

// profiles are those of the cluster's policy. A namespace's own cannot choose the transport sidecar.
const profiles = `{"forks": {"engine": {"transport": "sidecar", "sidecar": {
	"image": "registry.dagger.io/engine:v0.21.8", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}}}}`
