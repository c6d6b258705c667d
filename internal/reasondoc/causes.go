package reasondoc

import "github.com/dagger-inject/dagger-inject/inject"

// causes are what leads to each reason, for people.
var causes = map[inject.Reason]string{
	inject.ReasonInjected:        "The pod, or its namespace, asked, and was given an engine. Its annotation `dagger.io/status` says what was added.",
	inject.ReasonAlreadyInjected: "The webhook was called again, after another webhook changed the pod, or the pod was exported from a cluster and created anew.",
	inject.ReasonNotRequested: "Neither label is there. A label on a Deployment, a runner scale set or another workload does not reach its pods: the pod template's does. " +
		"A namespace's label takes effect for pods that are created after it.",
	inject.ReasonOptedOut:          "The pod's own label decides, whatever its namespace's says.",
	inject.ReasonUnknownLabelValue: "Values such as `yes` or `1` are not guessed at.",
	inject.ReasonNotARunner: "A namespace's label covers whatever runs there, databases too, so it reaches only pods that carry the marks of a CI system. " +
		"The pod is none of those, or its controller does not set the marks that the README lists.",
	inject.ReasonWindows:          "`spec.os.name` or the node selector says Windows.",
	inject.ReasonMirrorPod:        "The kubelet has read the pod from a file of its node, and shows it in the API.",
	inject.ReasonRunnerController: "The label was set on everything that the runner controller's chart makes, its controller or listener included.",
	inject.ReasonNoTargetContainer: "No container has a name that the CI system gives to those that run jobs; or the annotation `dagger.io/containers` or the policy's `containers` " +
		"match none, or only such as never run jobs: docker daemons, helpers, service containers, mesh proxies.",
	inject.ReasonAlreadyWired: "The container sets `_EXPERIMENTAL_DAGGER_RUNNER_HOST` itself, or mounts a directory of the node exactly where the socket's would be. What a user sets wins. " +
		"Whatever else is in the socket's place is no reason: the socket is then mounted below `/dagger-inject`.",
	inject.ReasonNamespaceNotSelected:   "The cluster's policy has `namespaces.selector`, and the namespace's labels do not match it.",
	inject.ReasonNamespaceLabelRequired: "The cluster's policy has `namespaces.podLabel: requireNamespaceLabel`, as job authors can set pod labels there.",
	inject.ReasonPolicyInvalid: "The cluster's or the namespace's ConfigMap `dagger-inject-policy` is missing, does not parse, or sets a field that is locked. " +
		"The message has the ConfigMap, the key, the line and the field. An older policy is never used in its place.",
	inject.ReasonAnnotationInvalid: "The value of a `dagger.io/` annotation is none that is accepted, a profile of that name does not exist, or `overrides.fromPods` does not let pods set it.",
	inject.ReasonNoEngine: "The policy names no engine and none is found in `engine.discover.namespace`; or the engine does not offer the transport that is asked for; " +
		"or the webhook may not read that namespace. The message says which. A Service in front of several engines counts only where all of a pod's connections reach the same one.",
	inject.ReasonHostPathForbidden: "The namespace's label `pod-security.kubernetes.io/enforce`, the policy's `podSecurity.default` or OpenShift forbids hostPath volumes, and the engine offers nothing but its socket.",
	inject.ReasonSandboxed: "The pod's `runtimeClassName` is not among the policy's `engine.socket.runtimeClasses`: a sandbox such as Kata's or gVisor's has a kernel of its own, to which a socket of the node " +
		"is a file without a listener. Or the pod has `hostUsers: false` and the socket's group is above 65535, which its user namespace does not have. " +
		"`engine.transport: socket` gives the socket all the same, with a warning.",
	inject.ReasonContradiction: "The pod's nodeSelector or node affinity and those that lead to an engine match no node together.",
	inject.ReasonNameConflict:  "The pod has a volume `dagger-inject-...` or a container `dagger-...` that is not the one that injection adds.",
	inject.ReasonPodTooLarge:   "More containers would be injected than a pod can sensibly have.",
	inject.ReasonBadRequest: "Something other than the API server called the webhook, or a MutatingWebhookConfiguration sends it other objects than pods. " +
		"The answer is HTTP 400, so that `failurePolicy` decides.",
	inject.ReasonInternalError: "The webhook could not read the namespace in time, had too many requests at once, or has a defect. The answer is HTTP 500 or 503, so that `failurePolicy` decides.",
}
