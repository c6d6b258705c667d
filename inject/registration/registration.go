// Package registration says how the webhook is registered with an API server: the names of its entries, the paths that they call, and
// the two configurations as the chart writes them. It needs no cluster: explain and check compare a cluster with it.
package registration

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	// ConfigurationName is the name of the MutatingWebhookConfiguration. It is fixed: the API server calls mutating webhooks in
	// the order of their configurations' names, and ours must come after actions-runner-controller's.
	ConfigurationName = "dagger-inject"
	// EntryNamePod is the name of its entry for pods that have the label.
	EntryNamePod = "pod.inject.dagger.io"
	// EntryNameNamespace is the name of its entry for pods in namespaces that have the label.
	EntryNameNamespace = "namespace.inject.dagger.io"
	// EntryNameOptional is the name of its entry for pods whose label is optional.
	EntryNameOptional = "optional.inject.dagger.io"
)

const (
	// PathPod is where the entry pod.inject.dagger.io is served.
	PathPod = "/inject/pod"
	// PathNamespace is where the entry namespace.inject.dagger.io is served.
	PathNamespace = "/inject/namespace"
	// PathOptional is where the entry optional.inject.dagger.io is served.
	PathOptional = "/inject/optional"
	// PathValidate is where policies are validated when they are written.
	PathValidate = "/validate/policy"
)

// Entry is one of the entries of the MutatingWebhookConfiguration.
type Entry struct {
	// Name is the entry's name, and Path where it is served.
	Name, Path string
	// Decision tells a decision that a request came through the entry.
	Decision inject.Entry
}

// Entries are all of them.
var Entries = []Entry{
	{EntryNamePod, PathPod, inject.EntryPod},
	{EntryNameNamespace, PathNamespace, inject.EntryNamespace},
	{EntryNameOptional, PathOptional, inject.EntryOptional},
}

// EntryNamed returns the entry of that name, and whether there is one.
func EntryNamed(name string) (Entry, bool) {
	at := slices.IndexFunc(Entries, func(e Entry) bool { return e.Name == name })
	if at < 0 {
		return Entry{}, false
	}
	return Entries[at], true
}

// Configuration returns the MutatingWebhookConfiguration that sends us the pods that ask for injection, and no others. The
// client function returns how the API server reaches a path of ours; releaseNamespace is the namespace that the webhook runs
// in, which is excluded.
func Configuration(client func(path string) admissionregistrationv1.WebhookClientConfig,
	releaseNamespace string) *admissionregistrationv1.MutatingWebhookConfiguration {
	excluded := metav1.LabelSelectorRequirement{
		Key:      corev1.LabelMetadataName,
		Operator: metav1.LabelSelectorOpNotIn,
		Values:   []string{"kube-system", "kube-public", "kube-node-lease", releaseNamespace},
	}
	label := func(operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: inject.LabelInject, Operator: operator, Values: values}
	}
	selector := func(requirements ...metav1.LabelSelectorRequirement) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: requirements}
	}
	pod := entry(EntryNamePod, client(PathPod))
	// Fail, because a pod that asks for an engine and silently gets none hangs for ten minutes; ARC retries after the HTTP 500
	// of a failed call.
	pod.FailurePolicy = ptr.To(admissionregistrationv1.Fail)
	pod.NamespaceSelector = selector(excluded)
	pod.ObjectSelector = selector(label(metav1.LabelSelectorOpExists),
		label(metav1.LabelSelectorOpNotIn, inject.InjectFalse, inject.InjectOptional))

	namespace := entry(EntryNameNamespace, client(PathNamespace))
	namespace.FailurePolicy = ptr.To(admissionregistrationv1.Ignore)
	namespace.NamespaceSelector = selector(excluded, label(metav1.LabelSelectorOpIn, inject.InjectTrue))
	namespace.ObjectSelector = selector(label(metav1.LabelSelectorOpDoesNotExist))

	// Ignore, because the creator of such a pod never tries again: what is lost to a webhook that is down would cost a job.
	optional := entry(EntryNameOptional, client(PathOptional))
	optional.FailurePolicy = ptr.To(admissionregistrationv1.Ignore)
	optional.NamespaceSelector = selector(excluded)
	optional.ObjectSelector = selector(label(metav1.LabelSelectorOpIn, inject.InjectOptional))

	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: ConfigurationName},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{pod, namespace, optional},
	}
}

// ValidatingConfigurationName is the name of the ValidatingWebhookConfiguration.
const ValidatingConfigurationName = "dagger-inject"

// ValidatingConfiguration returns the ValidatingWebhookConfiguration that checks policies when they are written. Its failure
// policy is Ignore: a pod that uses an invalid policy written meanwhile is refused with the same message.
func ValidatingConfiguration(
	client func(path string) admissionregistrationv1.WebhookClientConfig,
) *admissionregistrationv1.ValidatingWebhookConfiguration {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: ValidatingConfigurationName},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:                    "policy.inject.dagger.io",
			ClientConfig:            client(PathValidate),
			AdmissionReviewVersions: []string{"v1"},
			Rules:                   rules("configmaps", admissionregistrationv1.Create, admissionregistrationv1.Update),
			MatchPolicy:             ptr.To(admissionregistrationv1.Equivalent),
			MatchConditions: []admissionregistrationv1.MatchCondition{{
				Name:       "a-policy",
				Expression: "object.metadata.name == '" + config.ConfigMapName + "'",
			}},
			FailurePolicy:  ptr.To(admissionregistrationv1.Ignore),
			SideEffects:    ptr.To(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds: ptr.To[int32](3),
		}},
	}
}

// rules selects the operations on a resource of the core API group.
func rules(resource string, operations ...admissionregistrationv1.OperationType) []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: operations,
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource},
			Scope: ptr.To(admissionregistrationv1.NamespacedScope),
		},
	}}
}

// MirrorCondition is the match condition that entries had once. A configuration of an older chart may still have it, and the decision
// covers it.
const MirrorCondition = "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)"

func entry(name string, client admissionregistrationv1.WebhookClientConfig) admissionregistrationv1.MutatingWebhook {
	return admissionregistrationv1.MutatingWebhook{
		Name:                    name,
		ClientConfig:            client,
		AdmissionReviewVersions: []string{"v1"},
		Rules:                   rules("pods", admissionregistrationv1.Create),
		MatchPolicy:             ptr.To(admissionregistrationv1.Equivalent),
		// No match condition leaves out mirror pods, which the decision leaves alone: for one condition the API server converts the
		// whole pod for CEL, a quarter of what it spends on us.
		// The webhook writes events, but not on a dry run.
		SideEffects:        ptr.To(admissionregistrationv1.SideEffectClassNoneOnDryRun),
		ReinvocationPolicy: ptr.To(admissionregistrationv1.IfNeededReinvocationPolicy),
		TimeoutSeconds:     ptr.To[int32](3),
	}
}
