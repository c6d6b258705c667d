package reasondoc

import "github.com/dagger-inject/dagger-inject/inject"

// causes say what leads to each reason, in Markdown.
var causes = map[inject.Reason]string{
	inject.ReasonInjected: "The pod, or its namespace, asked for injection and got an engine. The pod's annotation " +
		"`dagger.io/status` says what was added.",
	inject.ReasonAlreadyInjected: "The API server called the webhook again, after another webhook had changed the pod; " +
		"or somebody exported the pod from a cluster and created it again.",
	inject.ReasonNotRequested: "Neither the pod nor its namespace has the label. " +
		"A label on a Deployment, a runner scale set or another workload does not reach its pods: label the pod template. " +
		"A namespace's label takes effect for pods that are created after it.",
	inject.ReasonOptedOut:          "The pod's own label takes precedence over its namespace's.",
	inject.ReasonUnknownLabelValue: "The webhook does not guess what values such as `yes` or `1` mean.",
	inject.ReasonNotARunner: "A namespace's label covers everything that runs there, including databases, so it applies only " +
		"to pods that carry the marks of a CI system. " +
		"The pod belongs to no such system, or its controller does not set the marks that [runner systems](runners.md) lists.",
	inject.ReasonWindows:   "`spec.os.name` or the node selector says Windows.",
	inject.ReasonMirrorPod: "The kubelet read the pod from a file of its node, and shows it in the API.",
	inject.ReasonRunnerController: "The label was set on everything that the runner controller's chart creates, " +
		"including its controller or listener.",
	inject.ReasonNoTargetContainer: "The pod is recognised, but has no container with the name that its CI system gives to " +
		"those that run jobs. " +
		"Or the annotation `dagger.io/containers` or the policy's `containers` match no container, or only containers that never " +
		"run jobs: docker daemons, helpers, service containers, mesh proxies.",
	inject.ReasonAlreadyWired: "Each container sets `_EXPERIMENTAL_DAGGER_RUNNER_HOST` itself, or mounts a hostPath volume " +
		"exactly where the socket's directory would be mounted. The webhook never overrides what a user sets. " +
		"Other mounts that are in the way do not lead here: the socket's directory is then mounted below `/dagger-inject`.",
	inject.ReasonNamespaceNotSelected: "The cluster's policy has `namespaces.selector`, and the namespace's labels do not match it.",
	inject.ReasonNamespaceLabelRequired: "The cluster's policy has `namespaces.podLabel: requireNamespaceLabel`, because job " +
		"authors can set pod labels there: " +
		"see the [threat model](threat-model.md#job-authors).",
	inject.ReasonPolicyInvalid: "The ConfigMap `dagger-inject-policy` of the cluster or of the namespace is missing, does not " +
		"parse, or sets a field that is locked. " +
		"The message names the ConfigMap, the key, the line and the field. The webhook never falls back to an older policy.",
	inject.ReasonAnnotationInvalid: "The value of a `dagger.io/` annotation is not accepted, a profile of that name does not " +
		"exist, or `overrides.fromPods` does not let pods set it.",
	inject.ReasonNoEngine: "The policy names no engine, and the webhook finds none in `engine.discover.namespace`. " +
		"Or the engine does not offer the requested transport, or the webhook may not read that namespace. The message says which. " +
		"Or the policy or the annotation `dagger.io/engine` asks for a version that no engine has, or every engine is draining; " +
		"the message names those that there are. " +
		"A Service in front of several engines counts only if all connections of a pod reach the same one.",
	inject.ReasonHostPathForbidden: "The namespace's label `pod-security.kubernetes.io/enforce`, the policy's " +
		"`podSecurity.default` or OpenShift forbids hostPath volumes, and the engine offers only its socket.",
	inject.ReasonSandboxed: "The pod's `runtimeClassName` is not among the policy's `engine.socket.runtimeClasses`. " +
		"The sandboxes of Kata and gVisor have a kernel of their own, in which nobody listens at the node's socket. " +
		"Or the pod has `hostUsers: false` and the socket's group is above 65535, which the pod's user namespace does not have. " +
		"With `engine.transport: socket` such pods get the socket, with a warning.",
	inject.ReasonPrivilegedForbidden: "`engine.transport` is `sidecar`, and the namespace's label " +
		"`pod-security.kubernetes.io/enforce`, the policy's `podSecurity.default` or OpenShift forbids privileged containers. " +
		"The field `engine.socket.ignorePodSecurity` is for the socket alone.",
	inject.ReasonSidecarStripped: "`engine.transport` is `sidecar`, and the pod is a runner of legacy ARC. " +
		"That controller's webhook is built for Kubernetes 0.26 and drops `restartPolicy` from init containers; " +
		"the pod would wait until its engine ends.",
	inject.ReasonContradiction: "No node can match both the pod's nodeSelector and node affinity and those that lead to an engine.",
	inject.ReasonNameConflict:  "The pod has a volume `dagger-inject-...` or a container `dagger-...` that injection did not add.",
	inject.ReasonPodTooLarge: "What would be added to the pod exceeds 1 MiB, which etcd would hardly take: the policy's `env`, " +
		"once for each container. " +
		"Or the pod has more than 1,024 containers or more than 256 to inject. " +
		"Or its node affinity and the policy's, which combine as a cross product, are too large. The message names the numbers.",
	inject.ReasonBadRequest: "Something other than the API server called the webhook, or a MutatingWebhookConfiguration sends " +
		"it objects that are not pods. " +
		"The answer is HTTP 400.",
	inject.ReasonInternalError: "The webhook could not read the namespace in time, had too many requests at once, or has a " +
		"defect. The answer is HTTP 500 or 503.",
}
