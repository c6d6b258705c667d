// Package client declares what a step runner is asked and what it answers.
package client

import "time"

// State is the state of a job.
type State string

// The states that GitLab Runner asks for.
const (
	StateSuccess   State = "success"
	StateCancelled State = "cancelled"
)

// String returns the state's name.
func (s State) String() string { return string(s) }

// ErrorKind is the kind of a failure.
type ErrorKind string

// The kinds of failures.
const (
	ErrorUnknown     ErrorKind = "unknown"
	ErrorInternal    ErrorKind = "internal"
	ErrorStepFailure ErrorKind = "step_failure"
	ErrorCancelled   ErrorKind = "cancelled"
	ErrorTimeout     ErrorKind = "timeout"
)

// Status is how a job ended.
type Status struct {
	State     State
	ErrorKind ErrorKind
	Message   string
}

// Variable is a job's variable.
type Variable struct {
	Key, Value   string
	File, Masked bool
}

// RunRequest is a job.
type RunRequest struct {
	Id, WorkDir, BuildDir, Steps string
	Timeout                      *time.Duration
	Env                          map[string]string
	Variables                    []Variable
}
