package inject

// The values of the label. Optional is for pods that must not be lost: it injects if it can be done, and refuses nothing.
const (
	InjectTrue     = "true"
	InjectFalse    = "false"
	InjectOptional = "optional"
)

const (
	// LabelInject asks for injection, on a pod or on its namespace.
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
	// EntryOptional is the entry for pods whose label is optional.
	EntryOptional Entry = "optional"
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

// asks reports whether the namespace's label asks for injection.
func (ns *Namespace) asks() bool { return ns.Labels[LabelInject] == InjectTrue }

// optIn is what the labels ask for.
type optIn struct {
	wanted bool
	// byPod is true if the pod's own label asks, false if its namespace's does.
	byPod bool
	// optional is true if the pod is to be created whatever becomes of its injection.
	optional bool
}

// readOptIn applies the precedence of the labels: the pod's own label decides; without one, the namespace's does.
func readOptIn(p *pod, ns *Namespace, entry Entry) (optIn, *obstacle) {
	if value, ok := p.label(LabelInject); ok {
		switch value {
		case InjectTrue:
			return optIn{wanted: true, byPod: true}, nil
		case InjectOptional:
			return optIn{wanted: true, byPod: true, optional: true}, nil
		case InjectFalse:
			return optIn{}, obstruct(ReasonOptedOut)
		default:
			return optIn{}, obstructf(ReasonUnknownLabelValue, "the label's value is %q", value)
		}
	}
	if entry == EntryNamespace || ns.asks() {
		return optIn{wanted: true}, nil
	}
	return optIn{}, obstruct(ReasonNotRequested)
}
