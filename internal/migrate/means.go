package migrate

import "github.com/dagger-inject/dagger-inject/inject"

// What differences mean, and what would keep a property as it was.
const (
	meansNewEngine = "The container gets an engine, which it had not: that is root on the engine's node. " +
		"The annotation " + inject.AnnotationContainers + " names the containers that are to have one."
	meansNoEngine = "The container is left without an engine: injection reaches the containers that run jobs. " +
		"The annotation " + inject.AnnotationContainers + " can name others."
	meansSidecarImage = "The pod's own engine has another image: the policy's engine.sidecar.image names it."
	meansPath         = "The same socket has another path in the container: only what names the path itself, and not the variable, notices. " +
		"The cluster's policy can keep it with engine.socket.mountPath: "
	meansMount = "The container had this mount without the variable, and injection does not reach it."
	meansCLI   = "The dagger command is elsewhere: only what names the path notices. " +
		"The cluster's policy can keep the path with cli.path: "
	meansVersion = "The dagger command has another version: the engine's own."
	meansTaint   = "Pods may now also go to nodes with this taint, as the engine does. " +
		"The policy's scheduling.fromEngine: false leaves the placement to the pod."
	meansFewerNodes = "Pods go only to such nodes now, where the engine runs. On any other node the pod had no engine to reach."
	meansDefect     = "This has changed, and no edit should do that: look at the diff."
)

// meansEngine says what another engine, or another way to it, means.
func meansEngine(was, is *connection) string {
	switch {
	case was.by == bySidecar:
		return "The pod had a privileged engine of its own, with a cache that was new with each pod; it now shares the engine of others, and " +
			"its cache. A policy with engine.transport: sidecar keeps an engine of the pod's own."
	case was.by == byKubePod:
		return "The engine was reached through the API server, with kubectl and the right to exec into the engine's pod; it is now reached " +
			"directly. Neither kubectl nor that right is needed for it any more."
	case was.by == bySocket && is.by == bySocket:
		return "The socket lies elsewhere on the node: it is read off the engine's workload, or from the policy where no engine is given. If " +
			"the old directory is the engine's, give --engine, or set engine.socket in the cluster's policy."
	case was.by == byOther:
		return "Where the container was connected to cannot be seen, so nobody can say whether that is the same engine."
	case was.by == is.by:
		return "The address is another, and so may be the engine behind it."
	}
	return "The engine is reached in another way, and may be another one, with another cache. The policy's engine.transport chooses the way."
}
