package inject

// Reason is why a request ended as it did. The set is closed. The same value is the metric label, the audit annotation and the
// word that people read.
type Reason string

// The reasons.
const (
	// Injected.
	ReasonInjected        Reason = "injected"
	ReasonAlreadyInjected Reason = "already_injected"

	// Injection does not apply: the pod is always admitted.
	ReasonNotRequested      Reason = "not_requested"
	ReasonOptedOut          Reason = "opted_out"
	ReasonUnknownLabelValue Reason = "unknown_label_value"
	ReasonNotARunner        Reason = "not_a_runner"
	ReasonWindows           Reason = "windows"
	ReasonMirrorPod         Reason = "mirror_pod"
	ReasonRunnerController  Reason = "runner_controller"
	ReasonNoTargetContainer Reason = "no_target_container"
	ReasonAlreadyWired      Reason = "already_wired"

	ReasonNamespaceNotSelected   Reason = "namespace_not_selected"
	ReasonNamespaceLabelRequired Reason = "namespace_label_required"

	// The pod asked, and injection is impossible: the policy's onError decides.
	ReasonPolicyInvalid     Reason = "policy_invalid"
	ReasonAnnotationInvalid Reason = "annotation_invalid"
	ReasonNoEngine          Reason = "no_engine"
	ReasonHostPathForbidden Reason = "host_path_forbidden"
	ReasonSandboxed         Reason = "sandboxed"
	// ReasonPrivilegedForbidden and ReasonSidecarStripped are of the transport sidecar.
	ReasonPrivilegedForbidden Reason = "privileged_forbidden"
	ReasonSidecarStripped     Reason = "sidecar_stripped"
	ReasonContradiction       Reason = "contradiction"
	ReasonNameConflict        Reason = "name_conflict"
	ReasonPodTooLarge         Reason = "pod_too_large"

	// The request could not be answered.
	ReasonBadRequest    Reason = "bad_request"
	ReasonInternalError Reason = "internal_error"
)

// Class groups reasons by what they mean for the pod.
type Class string

// The classes of reasons.
const (
	// ClassInjected is a pod that can use an engine after admission.
	ClassInjected Class = "injected"
	// ClassDoesNotApply is a pod that injection does not concern: it is always admitted.
	ClassDoesNotApply Class = "does not apply"
	// ClassCannot is a pod that asked and cannot be injected: the policy's onError decides.
	ClassCannot Class = "cannot"
	// ClassFault is a request that could not be answered.
	ClassFault Class = "fault"
)

type explanation struct {
	class    Class
	sentence string
	remedy   string
}

var explanations = map[Reason]explanation{
	ReasonInjected:        {ClassInjected, "The pod can use the Dagger Engine.", ""},
	ReasonAlreadyInjected: {ClassInjected, "The pod already has everything that would be added.", ""},

	ReasonNotRequested: {ClassDoesNotApply, "Neither the pod nor its namespace asks for injection.",
		"Label the pod or its namespace dagger.io/inject=true."},
	ReasonOptedOut: {ClassDoesNotApply, "The pod's label dagger.io/inject=false opts it out.",
		"Remove the label from the pod's template."},
	ReasonUnknownLabelValue: {ClassDoesNotApply, "The pod's label dagger.io/inject has a value other than true, optional and false.",
		`Set the label to "true", "optional" or "false".`},
	ReasonNotARunner: {ClassDoesNotApply, "The namespace asks for injection of its CI jobs, and the pod is not recognised as one.",
		"Label the pod itself dagger.io/inject=true."},
	ReasonWindows: {ClassDoesNotApply, "Windows pods cannot use the Dagger Engine of a node.",
		"Run the job on a Linux node."},
	ReasonMirrorPod: {ClassDoesNotApply, "A mirror pod only shows a pod that the kubelet runs from a file, and changing it has no effect.",
		"Change the file on the node."},
	ReasonRunnerController: {ClassDoesNotApply, "The pod belongs to a runner controller and runs no jobs.",
		"Label the runners' pod template instead of the whole chart."},
	ReasonNoTargetContainer: {ClassDoesNotApply, "The pod has no container that injection should reach.",
		"Check the containers' names, the policy's containers and the annotation dagger.io/containers."},
	ReasonAlreadyWired: {ClassDoesNotApply,
		"Every container that injection would change is already connected to an engine by hand, and stays as it is.",
		"Remove _EXPERIMENTAL_DAGGER_RUNNER_HOST and the socket's mount from the pod's template to have them injected: " +
			"dagger-inject migrate does it, and proves what changes."},

	ReasonNamespaceNotSelected: {ClassDoesNotApply, "The cluster's policy does not let pods of this namespace be injected.",
		"Ask the administrator of the cluster's policy to select the namespace (namespaces.selector)."},
	ReasonNamespaceLabelRequired: {ClassDoesNotApply,
		"The pod asks by its own label, and the cluster's policy accepts that only in namespaces that have the label too.",
		"Label the namespace dagger.io/inject=true."},

	ReasonPolicyInvalid: {ClassCannot, "The injection policy is invalid.",
		"Correct the policy."},
	ReasonAnnotationInvalid: {ClassCannot, "An annotation of the pod cannot be honoured.",
		"Correct or remove the annotation, or have the cluster's policy let pods set it."},
	ReasonNoEngine: {ClassCannot, "There is no engine that the pod can reach.",
		"See what dagger-inject engine shows, or name one in the policy: engine.socket.hostPath, engine.nodeTCP.port, engine.tcp.address or " +
			"engine.tls.address."},
	ReasonHostPathForbidden: {ClassCannot, "The engine's socket needs a hostPath volume, which the namespace's Pod Security level forbids.",
		"Give the policy an engine.nodeTCP.port or an engine.tcp.address, or run the jobs in a namespace that allows hostPath volumes."},
	ReasonSandboxed: {ClassCannot,
		"The pod is isolated from its node so that the engine's socket would be of no use to it, and the engine offers nothing else.",
		"Give the policy an engine.nodeTCP.port or an engine.tcp.address; or, where the pod's runtime class shares the node's kernel, name it " +
			"in engine.socket.runtimeClasses."},
	ReasonPrivilegedForbidden: {ClassCannot,
		"An engine of the pod's own needs a privileged container, which the namespace's Pod Security level " +
			"forbids.",
		"Run the jobs in a namespace whose level is privileged, or give the policy another engine.transport."},
	ReasonSidecarStripped: {ClassCannot, "The webhook of legacy ARC strips from its pods what makes an engine of the pod's own a sidecar.",
		"Give these runners another engine.transport by a profile of theirs, or move them to a runner scale set."},
	ReasonContradiction: {ClassCannot, "What the policy adds for scheduling contradicts what the pod asks for itself.",
		"Change the policy's scheduling or the pod's nodeSelector and node affinity."},
	ReasonNameConflict: {ClassCannot, "The pod uses a name that injection needs for something else.",
		"Rename the pod's container or volume."},
	ReasonPodTooLarge: {ClassCannot, "The pod, or what injection would add to it, is too large.",
		"Choose fewer containers with the annotation dagger.io/containers, or shorten the policy's env or the pod's node selection."},

	ReasonBadRequest: {ClassFault, "The request is not an admission review of a pod that can be read.",
		"Send an admission.k8s.io/v1 AdmissionReview of a v1 Pod."},
	ReasonInternalError: {ClassFault, "The webhook failed.",
		"See the webhook's log."},
}

// Reasons returns every Reason, for tests and documents that must not miss one.
func Reasons() []Reason {
	return []Reason{
		ReasonInjected, ReasonAlreadyInjected,
		ReasonNotRequested, ReasonOptedOut, ReasonUnknownLabelValue, ReasonNotARunner, ReasonWindows, ReasonMirrorPod,
		ReasonRunnerController, ReasonNoTargetContainer, ReasonAlreadyWired,
		ReasonNamespaceNotSelected, ReasonNamespaceLabelRequired,
		ReasonPolicyInvalid, ReasonAnnotationInvalid, ReasonNoEngine, ReasonHostPathForbidden, ReasonSandboxed,
		ReasonPrivilegedForbidden, ReasonSidecarStripped, ReasonContradiction,
		ReasonNameConflict, ReasonPodTooLarge,
		ReasonBadRequest, ReasonInternalError,
	}
}

// Class returns the reason's class.
func (r Reason) Class() Class { return explanations[r].class }

// Sentence returns what the reason means, in one sentence.
func (r Reason) Sentence() string { return explanations[r].sentence }

// Remedy returns what a person can do about it, or empty if nothing is wrong.
func (r Reason) Remedy() string { return explanations[r].remedy }

// troubleshooting is the page that messages link to.
const troubleshooting = "https://github.com/dagger-inject/dagger-inject/blob/main/docs/troubleshooting.md"

// URL returns the link to the reason's causes and remedy.
func (r Reason) URL() string { return troubleshooting + "#" + string(r) }
