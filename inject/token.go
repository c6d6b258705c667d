package inject

import (
	"strings"

	"github.com/dagger-inject/dagger-inject/inject/patch"
)

const (
	// tokenVolumePrefix begins the name of the volume in which the ServiceAccount admission plugin gives a pod the API's token, and
	// tokenFolder is where it mounts that in every container.
	tokenVolumePrefix = "kube-api-access-"
	tokenFolder       = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// tokenMount returns the mount that the ServiceAccount admission plugin gives every container of the pod, or nil if it gives none. It
// runs before webhooks are called, and again after one has changed the pod: it would give our init containers the same mount, and for
// that change the API server would call us a second time. Kubernetes looks at the name of the volume alone, too.
func (p *pod) tokenMount() []byte {
	if automount, set := p.spec.Get("automountServiceAccountToken").Bool(); set && !automount {
		return nil
	}
	for _, volume := range p.volumes.Elements() {
		if name, _ := volume.Get("name").Str(); strings.HasPrefix(name, tokenVolumePrefix) {
			mount := patch.AppendString([]byte(`{"name":`), name)
			return append(mount, `,"readOnly":true,"mountPath":"`+tokenFolder+`"}`...)
		}
	}
	return nil
}
