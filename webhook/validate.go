package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// PolicyValidator answers admission reviews of the ConfigMaps that policies are in. It refuses what every pod's decision
// would refuse, by the same code.
type PolicyValidator struct {
	// Store has the cluster's policy, which a namespace's is layered on.
	Store *PolicyStore
	// Metrics is not used for decisions on pods: a refused policy is not a refused pod.
	Metrics *Metrics
	// Log gets one line a refusal.
	Log *slog.Logger
}

// ServeHTTP answers one admission review.
func (v *PolicyValidator) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	review, cm, err := readPolicyReview(req)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	policies := v.compile(cm)
	if problems := policies.Problems(); len(problems) > 0 {
		response.Allowed = false
		response.Result = refusal(problems)
		v.Log.Info("policy refused", "namespace", cm.Namespace, "errors", len(problems))
	}
	for _, ignored := range policies.Ignored() {
		response.Warnings = append(response.Warnings, "dagger-inject: "+ignored.Error())
	}
	review.Request, review.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

func readPolicyReview(req *http.Request) (*admissionv1.AdmissionReview, *corev1.ConfigMap, error) {
	if err := checkHeaders(req); err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, MaxRequestBytes+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > MaxRequestBytes {
		return nil, nil, tooLarge()
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		return nil, nil, fmt.Errorf("not an AdmissionReview: %w", err)
	}
	if review.Request == nil {
		return nil, nil, errors.New("request: missing")
	}
	var cm corev1.ConfigMap
	if err := json.Unmarshal(review.Request.Object.Raw, &cm); err != nil {
		return nil, nil, fmt.Errorf("request.object: not a ConfigMap: %w", err)
	}
	cm.Namespace = review.Request.Namespace
	if cm.Name != config.ConfigMapName {
		return nil, nil, fmt.Errorf("request.object: want the ConfigMap %s, got %.60q", config.ConfigMapName, cm.Name)
	}
	return &review, &cm, nil
}

// compile returns what would hold with the ConfigMap: everywhere for the cluster's, in its namespace for another.
func (v *PolicyValidator) compile(cm *corev1.ConfigMap) *inject.Policies {
	if cm.Namespace == v.Store.releaseNamespace {
		return inject.NewPolicies(config.FromConfigMap(cm, config.OriginCluster), nil, v.Store.cluster.Load().engines.Discover)
	}
	return v.Store.With(config.FromConfigMap(cm, config.OriginNamespace))
}

// refusal has every problem in its message, one a line, and as a cause.
func refusal(problems config.Errors) *metav1.Status {
	message := fmt.Sprintf("the policy is invalid (%d errors):", len(problems))
	result := status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "")
	result.Details = &metav1.StatusDetails{Kind: "ConfigMap", Name: config.ConfigMapName}
	for _, problem := range problems {
		message += "\n  " + problem.Error()
		result.Details.Causes = append(result.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseTypeFieldValueInvalid, Field: problem.Path, Message: problem.Error(),
		})
	}
	result.Message = message
	return result
}
