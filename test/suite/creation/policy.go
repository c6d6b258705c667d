package main

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

// admissionPolicy is a MutatingAdmissionPolicy and its binding that make the changes that injectionPolicy makes, written by hand for
// the four pods: its decisions are simpler than ours, in its favour.
//
//go:embed policy.yaml
var admissionPolicy []byte

// injectionPolicy is our own.
const injectionPolicy = `apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine: {socket: {hostPath: /run/dagger-dagger-dagger-helm}}
cli: {image: registry.dagger.io/engine:v0.21.8}
wait: {image: ghcr.io/dagger-inject/dagger-inject:v1, timeout: 1m}
`

// registerPolicy creates the MutatingAdmissionPolicy and its binding, and waits until they are in effect.
func registerPolicy(ctx context.Context, cp *controlplane.ControlPlane, injected func(context.Context) error) error {
	var objects struct {
		Policy  admissionv1.MutatingAdmissionPolicy        `json:"policy"`
		Binding admissionv1.MutatingAdmissionPolicyBinding `json:"binding"`
	}
	if err := yaml.UnmarshalStrict(admissionPolicy, &objects); err != nil {
		return fmt.Errorf("policy.yaml: %w", err)
	}
	for _, object := range []client.Object{&objects.Policy, &objects.Binding} {
		if err := cp.Client().Create(ctx, object); err != nil {
			return err
		}
	}
	return poll.Until(ctx, "the API server applies the policy", 100*time.Millisecond, time.Minute, injected)
}

// initNames are the names of the pod's init containers.
func initNames(pod *corev1.Pod) []string {
	var names []string
	for i := range pod.Spec.InitContainers {
		names = append(names, pod.Spec.InitContainers[i].Name)
	}
	return names
}
