// Package schema declares the steps of the keyword run. Jobs of tests have scripts.
package schema

// StepInputs are what a step is given.
type StepInputs map[string]any

// Step is a step.
type Step struct {
	Name   *string    `json:"name,omitempty" yaml:"name,omitempty"`
	Step   any        `json:"step,omitempty" yaml:"step,omitempty"`
	Inputs StepInputs `json:"inputs,omitempty" yaml:"inputs,omitempty"`
	Run    []Step     `json:"run,omitempty" yaml:"run,omitempty"`
}
