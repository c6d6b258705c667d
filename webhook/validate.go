package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"

	"golang.org/x/sync/semaphore"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// PolicyValidator answers admission reviews of policy ConfigMaps. It refuses what a decision about a pod would refuse, with
// the same code.
type PolicyValidator struct {
	// Store has the cluster's policy, which a namespace's is layered on.
	Store *PolicyStore
	// Log gets one line for each refusal.
	Log *slog.Logger
}

// compiles bounds how many policies are compiled for reviews at one time: compiling is the most expensive thing that a request
// can cause.
var compiles = semaphore.NewWeighted(2)

// ServeHTTP answers one admission review.
func (v *PolicyValidator) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	x := begin(w, req)
	defer x.end()
	text, err := x.read(req)
	if err == nil {
		var answer []byte
		if answer, err = v.review(req.Context(), text); err == nil {
			x.write(w, answer)
			return
		}
	}
	var he *httpError
	if !errors.As(err, &he) {
		he = &httpError{code: http.StatusBadRequest, message: err.Error()}
	}
	writeError(w, he.code, he.message)
}

// review answers a review of a ConfigMap with a policy.
func (v *PolicyValidator) review(ctx context.Context, text string) ([]byte, error) {
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal([]byte(text), &review); err != nil {
		return nil, fmt.Errorf("not an AdmissionReview: %w", err)
	}
	if review.Request == nil {
		return nil, errors.New("request: missing")
	}
	cm, err := readPolicyMap(review.Request.Object.Raw)
	if err != nil {
		return nil, fmt.Errorf("request.object: %w", err)
	}
	cm.Namespace = review.Request.Namespace
	response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if !changesNothing(cm, review.Request.OldObject.Raw) {
		// The server cancels the contexts of running requests when it stops.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bodyTimeout)
		defer cancel()
		if err := compiles.Acquire(ctx, 1); err != nil {
			return nil, &httpError{http.StatusServiceUnavailable, inject.ReasonInternalError, "too many policies to check at one time: try again"}
		}
		defer compiles.Release(1)
		v.judge(ctx, cm, response)
	}
	review.Request, review.Response = nil, response
	return json.Marshal(&review)
}

func readPolicyMap(raw []byte) (*corev1.ConfigMap, error) {
	var cm corev1.ConfigMap
	if err := json.Unmarshal(raw, &cm); err != nil {
		return nil, fmt.Errorf("not a ConfigMap: %w", err)
	}
	if cm.Name != config.ConfigMapName {
		return nil, fmt.Errorf("want the ConfigMap %s, got %.60q", config.ConfigMapName, cm.Name)
	}
	return &cm, nil
}

// changesNothing reports whether an update leaves the policy as it is, or the ConfigMap is being deleted. An invalid policy
// that already exists must not prevent changes of its labels, or the deletion of its namespace.
func changesNothing(cm *corev1.ConfigMap, old []byte) bool {
	if cm.DeletionTimestamp != nil {
		return true
	}
	before, err := readPolicyMap(old)
	return err == nil && maps.Equal(before.Data, cm.Data) && len(before.BinaryData) == len(cm.BinaryData) &&
		before.Annotations[config.AnnotationSchemaRevision] == cm.Annotations[config.AnnotationSchemaRevision]
}

func (v *PolicyValidator) judge(ctx context.Context, cm *corev1.ConfigMap, response *admissionv1.AdmissionResponse) {
	policies := v.compile(cm)
	if problems := policies.Problems(); len(problems) > 0 {
		response.Allowed = false
		response.Result = refusal(problems)
		v.Log.Info("policy refused", "namespace", cm.Namespace, "errors", len(problems))
	} else if cm.Namespace == v.Store.releaseNamespace {
		for _, warning := range v.Store.breaks(ctx, policies) {
			response.Warnings = append(response.Warnings, terminal.Escape(inject.WarningPrefix+warning))
		}
	}
	for _, ignored := range policies.Ignored() {
		response.Warnings = append(response.Warnings, terminal.Escape(inject.WarningPrefix+ignored.Error()))
	}
}

// compile returns the policies that would apply with the ConfigMap: everywhere for the cluster's, in its namespace for another.
func (v *PolicyValidator) compile(cm *corev1.ConfigMap) *inject.Policies {
	if cm.Namespace == v.Store.releaseNamespace {
		return inject.NewPolicies(config.FromConfigMap(cm, config.OriginCluster), nil, v.Store.cluster.Load().engines.Discover)
	}
	return v.Store.With(config.FromConfigMap(cm, config.OriginNamespace))
}

// refusal lists every problem in its message, one a line, and as a cause.
func refusal(problems config.Errors) *metav1.Status {
	message := fmt.Sprintf("the policy is invalid (%d errors):", len(problems))
	result := status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "")
	result.Details = &metav1.StatusDetails{Kind: "ConfigMap", Name: config.ConfigMapName}
	for _, problem := range problems {
		message += "\n  " + terminal.Escape(problem.Error())
		result.Details.Causes = append(result.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseTypeFieldValueInvalid, Field: problem.Path, Message: terminal.Escape(problem.Error()),
		})
	}
	result.Message = message
	return result
}
