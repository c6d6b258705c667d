package explain

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// Namespace describes what CI jobs in a namespace get.
type Namespace struct {
	// Namespace is its name.
	Namespace string `json:"namespace"`
	// Label is the value of its label dagger.io/inject, or empty without one.
	Label string `json:"label"`
	// PodSecurity is the level that its label enforces, or empty without one.
	PodSecurity string `json:"podSecurity"`
	// PolicyProblems are the errors in its policies, in any profile.
	PolicyProblems []string `json:"policyProblems,omitempty"`
	// Unlabelled and Labelled are what a CI job gets without a label, and with dagger.io/inject=true. The job is a made-up ARC
	// runner.
	Unlabelled *Explanation `json:"unlabelled"`
	Labelled   *Explanation `json:"labelled"`
}

// Outcome is the outcome of the job that the namespace is meant for: the one without a label if the namespace asks for
// injection.
func (n *Namespace) Outcome() Outcome {
	if n.Label == inject.InjectTrue {
		return n.Unlabelled.Outcome
	}
	return n.Labelled.Outcome
}

// Namespace explains what CI jobs in a namespace get.
func (e *Explainer) Namespace(ctx context.Context, name string) (*Namespace, error) {
	var ns corev1.Namespace
	if err := client.IgnoreNotFound(e.Reader.Get(ctx, client.ObjectKey{Name: name}, &ns)); err != nil {
		ns = corev1.Namespace{} // each explanation says that it cannot be read
	} else if ns.Name == "" && !e.Offline {
		return nil, fmt.Errorf("there is no namespace %s", name)
	}
	n := &Namespace{Namespace: name, Label: ns.Labels[inject.LabelInject], PodSecurity: ns.Labels["pod-security.kubernetes.io/enforce"]}
	for _, job := range []struct {
		name   string
		labels map[string]string
		into   **Explanation
	}{
		{"a CI job without the label", nil, &n.Unlabelled},
		{"a CI job with the label " + inject.LabelInject + "=true", map[string]string{inject.LabelInject: inject.InjectTrue}, &n.Labelled},
	} {
		template, err := runner(name, "job", job.labels)
		if err != nil {
			return nil, err
		}
		*job.into = e.explain(ctx, subject{name: job.name, namespace: name, template: template})
	}
	n.PolicyProblems = e.policyProblems(ctx, name)
	return n, nil
}

func (e *Explainer) policyProblems(ctx context.Context, namespace string) []string {
	j := &job{Explainer: e, Explanation: &Explanation{}, ctx: ctx, engines: cluster.NewEngines(ctx, e.Reader, namespace)}
	j.namespace.Name = namespace
	if j.readPolicies(); j.policies == nil {
		return nil
	}
	var problems []string
	for _, problem := range j.policies.Problems() {
		problems = append(problems, problem.Error())
	}
	return problems
}
