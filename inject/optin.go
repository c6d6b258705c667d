package inject

import (
	"fmt"
)

const (
	// LabelInject, on a pod or its namespace, asks for injection.
	LabelInject = "dagger.io/inject"
	// AnnotationStatus is where what was done is recorded, as JSON.
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

// Namespace is what decisions need to know of a pod's namespace.
type Namespace struct {
	Name   string
	Labels map[string]string
	// Annotations may be only those of NamespaceAnnotations.
	Annotations map[string]string
	// Limits is what LimitRanges of the namespace ask of each container.
	Limits ContainerLimits
}

// optIn is what the labels ask for.
type optIn struct {
	wanted bool
	// byPod is true where the pod's own label asks, false where its namespace's does.
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
