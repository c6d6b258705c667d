// Package apicheck asks the API server whether it reaches the webhook. It does so in the one way that proves it: it creates a
// pod that asks for injection, as a dry run.
package apicheck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// Outcome is what happened to the pod.
type Outcome string

// The outcomes. The webhook answered in the first three.
const (
	// Injected is a pod that got an engine.
	Injected Outcome = "injected"
	// Refused is a pod that the webhook refused with a reason, such as an invalid policy.
	Refused Outcome = "refused"
	// Admitted is a pod that the webhook admitted without an engine, with a warning that says why.
	Admitted Outcome = "admitted"
	// NotCalled is a pod that was created unchanged: the API server did not call the webhook, or ignored that it could not.
	NotCalled Outcome = "not_called"
	// Unreachable is a pod that was refused because the webhook cannot be called.
	Unreachable Outcome = "unreachable"
	// Failed is a pod that something else refused, or a request that could not be made.
	Failed Outcome = "failed"
)

// Answer is the result of a check.
type Answer struct {
	Outcome Outcome `json:"outcome"`
	// Namespace is the namespace of the pod.
	Namespace string `json:"namespace"`
	// Said is what the webhook or the API server said: the status annotation of an injected pod, else a message.
	Said string `json:"said,omitempty"`
	// Causes are the usual causes if the webhook did not answer, most likely first, each with a remedy.
	Causes []string `json:"causes,omitempty"`

	// permanent is true if another attempt cannot end differently.
	permanent bool
}

// Reached reports whether the webhook answered.
func (a Answer) Reached() bool {
	return slices.Contains([]Outcome{Injected, Refused, Admitted}, a.Outcome)
}

// String returns the answer in a sentence, without the causes.
func (a Answer) String() string {
	switch a.Outcome {
	case Injected:
		return "the webhook answers: a pod in namespace " + a.Namespace + " would be injected: " + a.Said
	case Refused:
		return "the webhook answers: a pod in namespace " + a.Namespace + " would be refused: " + a.Said
	case Admitted:
		return "the webhook answers: a pod in namespace " + a.Namespace + " would be admitted without an engine: " + a.Said
	case NotCalled:
		return "the webhook was not called for a pod in namespace " + a.Namespace
	case Unreachable:
		return "the API server cannot call the webhook: " + a.Said
	}
	return "the pod of the check cannot be created in namespace " + a.Namespace + ": " + a.Said
}

// pause is the time between two attempts.
const pause = time.Second

// Wait checks until the webhook answers, another attempt is pointless, or ctx ends, and returns the last answer. The deadline
// of ctx should leave the API server its own time-out for a webhook, at most 30 seconds. Wait calls report, which may be nil,
// with every answer that differs from the one before.
func Wait(ctx context.Context, config *rest.Config, namespace string, report func(Answer)) Answer {
	var last Answer
	for {
		answer := Once(ctx, config, namespace)
		if ctx.Err() != nil && last.Outcome != "" && !answer.Reached() {
			return last // ctx cut it off; the answer before says more
		}
		if report != nil && answer.String() != last.String() {
			report(answer)
		}
		last = answer
		if answer.Reached() || answer.permanent {
			return answer
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(pause):
		}
	}
}

// Once makes one attempt. The webhook's configuration must not exclude the namespace, which must have a service account
// default, as every namespace has shortly after its creation.
func Once(ctx context.Context, config *rest.Config, namespace string) Answer {
	client, err := podClient(config)
	if err != nil {
		return Answer{Outcome: Failed, Namespace: namespace, Said: err.Error(), permanent: true}
	}
	// client-go would retry a refusal with retryAfterSeconds and hide it from us.
	result := client.Post().Namespace(namespace).Resource("pods").Param("dryRun", "All").MaxRetries(0).Body(pod()).Do(ctx)
	var stored corev1.Pod
	err = result.Into(&stored)
	var warnings []string
	for _, w := range result.Warnings() {
		if strings.HasPrefix(w.Text, inject.WarningPrefix) {
			warnings = append(warnings, w.Text)
		}
	}
	answer := judge(&stored, warnings, err)
	answer.Namespace = namespace
	answer.Causes = causes(answer)
	return answer
}

// judge returns what happened to the pod. The warnings are the webhook's only.
func judge(stored *corev1.Pod, warnings []string, err error) Answer {
	entry := fmt.Sprintf("webhook %q", registration.EntryNamePod)
	switch status, injected := stored.Annotations[inject.AnnotationStatus]; {
	case err == nil && injected:
		return Answer{Outcome: Injected, Said: status}
	case err == nil && len(warnings) > 0:
		return Answer{Outcome: Admitted, Said: strings.Join(warnings, " ")}
	case err == nil:
		return Answer{Outcome: NotCalled}
	}
	message := err.Error()
	_, ours, denied := strings.Cut(message, "admission "+entry+" denied the request: ")
	switch {
	case denied:
		return Answer{Outcome: Refused, Said: ours}
	case strings.Contains(message, "failed calling "+entry):
		return Answer{Outcome: Unreachable, Said: message}
	case len(warnings) > 0:
		return Answer{Outcome: Admitted, Said: strings.Join(warnings, " ")}
	}
	return Answer{Outcome: Failed, Said: message, permanent: namespaceMissing(err)}
}

// namespaceMissing reports whether the namespace is missing: a pod that is being created cannot be.
func namespaceMissing(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code == http.StatusNotFound
}

func podClient(config *rest.Config) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.WarningHandler, config.WarningHandlerWithContext = rest.NoWarnings{}, nil
	return rest.RESTClientFor(config)
}
