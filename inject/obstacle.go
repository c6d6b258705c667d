package inject

import "fmt"

// obstacle is what keeps a pod from being injected. The class of its reason says how the decision ends.
type obstacle struct {
	reason Reason
	// detail says what is particular to this pod; it may be empty.
	detail string
}

// obstruct returns the obstacle of a reason whose sentence says everything.
func obstruct(reason Reason) *obstacle { return &obstacle{reason: reason} }

func obstructf(reason Reason, format string, args ...any) *obstacle {
	return &obstacle{reason, fmt.Sprintf(format, args...)}
}

// conflict is a name of ours that the pod uses for something else.
func conflict(format string, args ...any) *obstacle {
	return obstructf(ReasonNameConflict, "the pod has "+format+" of its own", args...)
}
