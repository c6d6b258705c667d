package inject

import (
	"fmt"
	"path"
	"slices"
)

// ownGroups is how many groups a pod's user namespace has where the kubelet is not told otherwise (k8s.io/kubernetes,
// pkg/kubelet/userns).
const ownGroups = 1 << 16

// sandbox returns why an engine's socket would be of no use to the pod, empty where it can be used. ownKernel is what the function of
// that name returns, which is the same for every engine.
//
// A runtime class may be one of Kata or gVisor, whose pods have a kernel of their own: they see the socket's file, and nobody
// listens behind it. What a class is, only its name says here.
//
// hostUsers: false alone does no harm. The kubelet has the runtime map the owners of every mount as it maps the pod's users
// (k8s.io/kubernetes, kuberuntime_container_linux.go), so that the socket's group is in the pod the one that it is on the node, and
// connect checks the socket's mode by the mount's mapping. A group that the pod's user namespace does not have cannot be set,
// and the container does not start. Nor does supplementalGroupsPolicy: Strict: it drops the groups of the image's /etc/group, not
// those of the pod's supplementalGroups.
func sandbox(p *pod, e *compiledEngine, ownKernel string) string {
	if ownKernel == "" && e.unixSocket != nil {
		return p.lacksGroup(e.unixSocket.Group)
	}
	return ownKernel
}

// lacksGroup returns why the pod cannot have a socket's group, empty where it can.
func (p *pod) lacksGroup(group int64) string {
	if !p.ownUsers || group < ownGroups {
		return ""
	}
	return fmt.Sprintf("the socket's group, %d, is not in the user namespace of a pod with hostUsers: false", group)
}

// ownKernel returns why a pod may have a kernel of its own, empty where it shares the node's, as pods of some runtime classes do.
func ownKernel(p *pod, shareKernel []string) string {
	if p.runtimeClass == "" || matchesRuntimeClass(shareKernel, p.runtimeClass) {
		return ""
	}
	return fmt.Sprintf("the pod's runtime class, %s, is not among engine.socket.runtimeClasses, which share the node's kernel",
		joinNames([]string{p.runtimeClass}))
}

// maxRuntimeClass is how long the name of a runtime class is that the API server accepts (RFC 1123 subdomain).
const maxRuntimeClass = 253

func matchesRuntimeClass(patterns []string, class string) bool {
	return len(class) <= maxRuntimeClass && slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, class)
		return ok
	})
}
