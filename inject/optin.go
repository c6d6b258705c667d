package inject

import (
	"fmt"
)

const (
	// LabelInject, on a pod or its namespace, asks for injection.
	LabelInject = "dagger.io/inject"
	// AnnotationStatus records what was done, as JSON.
	AnnotationStatus = "dagger.io/status"
)

// Entry is the webhook entry that a request came through.
type Entry string

const (
	// EntryPod is the entry for pods that carry the label.
	EntryPod Entry = "pod"
	// EntryNamespace is the entry for pods without the label in a namespace that has it. A request through it proves the
	// namespace's label, even where a cache does not show it yet.
	EntryNamespace Entry = "namespace"
)

// Namespace has the facts about a pod's namespace that decisions depend on.
type Namespace struct {
	Name   string
	Labels map[string]string
	// Annotations may contain only those of NamespaceAnnotations.
	Annotations map[string]string
	// Limits are the bounds of the namespace's LimitRanges for each container.
	Limits ContainerLimits
}

// optIn is what the labels ask for.
type optIn struct {
	wanted bool
	// byPod is true if the pod's own label asks, false if its namespace's does.
	byPod  bool
	reason Reason
	detail string
}

// readOptIn applies the precedence of the labels: the pod's own label decides; without one, the namespace's does.
func readOptIn(p *pod, ns *Namespace, entry Entry) optIn {
	if value, ok := p.label(LabelInject); ok {
		switch value {
		case "true":
			return optIn{wanted: true, byPod: true}
		case "false":
			return optIn{reason: ReasonOptedOut}
		default:
			return optIn{reason: ReasonUnknownLabelValue, detail: fmt.Sprintf("the label's value is %q", value)}
		}
	}
	if entry == EntryNamespace || ns.Labels[LabelInject] == "true" {
		return optIn{wanted: true}
	}
	return optIn{reason: ReasonNotRequested}
}
