// Package apicheck asks the API server whether it reaches the webhook, in the one way that proves it: by a pod that asks for
// injection, created as a dry run.
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

// Outcome is what became of the pod.
type Outcome string

// The outcomes. The first three are answers of the webhook, so that it is reached.
const (
	// Injected is a pod that was given an engine.
	Injected Outcome = "injected"
	// Refused is a pod that the webhook refused with a reason, such as a policy that is invalid.
	Refused Outcome = "refused"
	// Admitted is a pod that the webhook let pass without an engine, with a warning that says why.
	Admitted Outcome = "admitted"
	// NotCalled is a pod that was created as it is: the API server did not call the webhook, or ignored that it could not.
	NotCalled Outcome = "not_called"
	// Unreachable is a pod that was refused because the webhook cannot be called.
	Unreachable Outcome = "unreachable"
	// Failed is a pod that was refused by somebody else, or a request that could not be made.
	Failed Outcome = "failed"
)

// Answer is the result of a check.
type Answer struct {
	Outcome Outcome `json:"outcome"`
	// Namespace is where the pod was to be.
	Namespace string `json:"namespace"`
	// Said is what the webhook or the API server said: the status annotation of an injected pod, else a message.
	Said string `json:"said,omitempty"`
	// Causes are what usually leads to an outcome that is no answer, the likeliest first, each with what to do.
	Causes []string `json:"causes,omitempty"`

	// permanent is true where another attempt cannot end otherwise.
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

// pause is between two attempts.
const pause = time.Second

// Wait checks until the webhook answers, another attempt is of no use, or ctx ends, and returns the last answer. A timeout of
// ctx should leave the API server its own time for a webhook, which is 30 seconds at most. It tells report, which may be nil,
// of every answer that differs from the one before.
func Wait(ctx context.Context, config *rest.Config, namespace string, report func(Answer)) Answer {
	var last Answer
	for {
		answer := Once(ctx, config, namespace)
		if ctx.Err() != nil && last.Outcome != "" && !answer.Reached() {
			return last // it was cut off; the one before says more
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

// Once makes one attempt. The namespace must be one that the webhook's configuration does not exclude, with a service account
// default, as every namespace soon has.
func Once(ctx context.Context, config *rest.Config, namespace string) Answer {
	client, err := podClient(config)
	if err != nil {
		return Answer{Outcome: Failed, Namespace: namespace, Said: err.Error(), permanent: true}
	}
	// The client would repeat a refusal by itself where it says when, and hide it from us.
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

// judge says what became of the pod. Of warnings it is given ours.
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

// namespaceMissing is about the namespace, since a pod that is created cannot be missing.
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
