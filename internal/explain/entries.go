package explain

import (
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// Entry is an entry of a MutatingWebhookConfiguration.
type Entry struct {
	// Configuration and Name identify the entry.
	Configuration string `json:"configuration"`
	Name          string `json:"name"`
	// Called is true if the API server would call the webhook for the pod.
	Called bool `json:"called"`
	// Because says why it would not.
	Because string `json:"because,omitempty"`
	// NotEvaluated are the entry's match conditions, in CEL, which explain does not evaluate.
	NotEvaluated []string `json:"notEvaluated,omitempty"`
	// FailurePolicy is what happens to the pod if the webhook cannot be reached: Fail or Ignore.
	FailurePolicy string `json:"failurePolicy"`
}

// webhookConfigurations names them in the list of what cannot be read.
const webhookConfigurations = "the MutatingWebhookConfigurations"

// readEntries finds the webhook's entries in all configurations, by their names, and returns the entry by which the API server
// would call the webhook.
func (j *job) readEntries(t inject.Template) (entry inject.Entry, called bool) {
	var list admissionregistrationv1.MutatingWebhookConfigurationList
	if err := j.Reader.List(j.ctx, &list); err != nil {
		j.unreadable(webhookConfigurations, err)
		return "", true
	}
	pod := podLabels(t)
	takes := false // a configuration selects pods of the namespace
	for i := range list.Items {
		for n := range list.Items[i].Webhooks {
			w := &list.Items[i].Webhooks[n]
			known, ours := registration.EntryNamed(w.Name)
			if !ours {
				continue
			}
			if w.Name == registration.EntryNamePod {
				takes = takes || !j.namespaceKnown || mismatch(w.NamespaceSelector, j.namespace.Labels) == ""
				j.excluded = !takes
			}
			e := Entry{Configuration: list.Items[i].Name, Name: w.Name, Because: j.refusal(w, pod)}
			if e.Called = e.Because == ""; e.Called {
				called = true
				entry = known.Decision
			}
			for _, c := range w.MatchConditions {
				if c.Expression != registration.MirrorCondition {
					e.NotEvaluated = append(e.NotEvaluated, c.Name+": "+c.Expression)
				}
			}
			if w.FailurePolicy != nil {
				e.FailurePolicy = string(*w.FailurePolicy)
			}
			j.Entries = append(j.Entries, e)
		}
	}
	return entry, called
}

// refusal returns why an entry does not select the pod, or empty if it does.
func (j *job) refusal(w *admissionregistrationv1.MutatingWebhook, pod labels.Set) string {
	if !slices.ContainsFunc(w.Rules, createsPods) {
		return "its rules do not cover the creation of pods"
	}
	if because := mismatch(w.ObjectSelector, pod); because != "" {
		return "objectSelector: the pod does not match " + because
	}
	if because := mismatch(w.NamespaceSelector, j.namespace.Labels); because != "" {
		if !j.namespaceKnown {
			return "namespaceSelector: not known whether the namespace matches " + because
		}
		return "namespaceSelector: the namespace does not match " + because
	}
	return ""
}

func createsPods(r admissionregistrationv1.RuleWithOperations) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return has(r.APIGroups, "") && has(r.APIVersions, "v1") && (has(r.Resources, "pods") || slices.Contains(r.Resources, "*/*")) &&
		(slices.Contains(r.Operations, admissionregistrationv1.Create) || slices.Contains(r.Operations, admissionregistrationv1.OperationAll))
}

// mismatch returns the first requirement of a selector that labels do not meet, or empty if they meet all.
func mismatch(s *metav1.LabelSelector, have labels.Set) string {
	if s == nil {
		return ""
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return fmt.Sprintf("an invalid selector (%v)", err)
	}
	requirements, _ := selector.Requirements()
	for _, r := range requirements {
		if !r.Matches(have) {
			return r.String()
		}
	}
	return ""
}

func podLabels(t inject.Template) labels.Set {
	set := labels.Set{}
	for key, v := range t.Pod.Get("metadata").Get("labels").Members() {
		if value, ok := v.Str(); ok {
			set[key] = value
		}
	}
	return set
}

// asked says whose label asks for injection.
func asked(by inject.Asker) string {
	switch by {
	case inject.AskedOptionally:
		return "by the pod's own label " + inject.LabelInject + "=" + inject.InjectOptional + ", which is never refused, whatever onError says"
	case inject.AskedByPod:
		return "by the pod's own label " + inject.LabelInject
	case inject.AskedByNamespace:
		return "by the namespace's label " + inject.LabelInject
	}
	return "by nobody"
}

// joinMost lists names in a line, up to a number of them.
func joinMost(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
