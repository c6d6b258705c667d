package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// request is what is needed of an AdmissionReview's request. The pod stays a position in the raw text.
type request struct {
	uid       string
	namespace string
	operation string
	dryRun    bool
	pod       rawjson.Value
}

// readRequest takes the request out of an AdmissionReview. The error says which field is not what it must be.
func readRequest(review rawjson.Value) (*request, error) {
	if review.Kind() != rawjson.Object {
		return nil, fmt.Errorf("want an AdmissionReview, got %s", review.Kind())
	}
	apiVersion, _ := review.Get("apiVersion").Str()
	kind, _ := review.Get("kind").Str()
	if apiVersion != admissionv1.SchemeGroupVersion.String() || kind != "AdmissionReview" {
		return nil, fmt.Errorf("want apiVersion %s and kind AdmissionReview, got %.60q and %.60q",
			admissionv1.SchemeGroupVersion, apiVersion, kind)
	}
	body := review.Get("request")
	if body.Kind() != rawjson.Object {
		return nil, fmt.Errorf("request: want an object, got %s", body.Kind())
	}
	r := &request{pod: body.Get("object")}
	r.uid, _ = body.Get("uid").Str()
	if r.uid == "" {
		return nil, fmt.Errorf("request.uid: want a string that is not empty")
	}
	r.namespace, _ = body.Get("namespace").Str()
	r.operation, _ = body.Get("operation").Str()
	r.dryRun, _ = body.Get("dryRun").Bool()
	if r.operation != string(admissionv1.Create) {
		return r, nil
	}
	if r.namespace == "" {
		return nil, fmt.Errorf("request.namespace: want a string that is not empty")
	}
	gvk := body.Get("kind")
	group, _ := gvk.Get("group").Str()
	version, _ := gvk.Get("version").Str()
	if name, _ := gvk.Get("kind").Str(); group != "" || version != "v1" || name != "Pod" {
		return nil, fmt.Errorf("request.kind: want a v1 Pod, got %.60q in version %.60q of group %.60q", name, version, group)
	}
	if subresource, _ := body.Get("subResource").Str(); subresource != "" {
		return nil, fmt.Errorf("request.subResource: want none, got %.60q", subresource)
	}
	if r.pod.Kind() != rawjson.Object {
		return nil, fmt.Errorf("request.object: want a pod, got %s", r.pod.Kind())
	}
	return r, nil
}

// podName returns the pod's name as far as it has one: controllers often leave it to the API server.
func (r *request) podName() string {
	metadata := r.pod.Get("metadata")
	if name, _ := metadata.Get("name").Str(); name != "" {
		return name
	}
	prefix, _ := metadata.Get("generateName").Str()
	return prefix + "*"
}

// auditReason is the audit annotation that carries the Reason; the API server puts the entry's name before it.
const auditReason = "reason"

var patchType = admissionv1.PatchTypeJSONPatch

// respond encodes the answer to a request that was decided. A refusal carries 503: ARC gives a runner up for good on 403
// and 422, and tries anything else again (its ephemeralrunner_controller.go).
func respond(r *request, plan *inject.Plan) ([]byte, error) {
	response := &admissionv1.AdmissionResponse{
		UID:              types.UID(r.uid),
		Allowed:          plan.Decision != inject.DecisionRefused,
		Warnings:         plan.Warnings,
		AuditAnnotations: map[string]string{auditReason: string(plan.Reason)},
	}
	if !response.Allowed {
		response.Result = status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, plan.Message())
		response.Result.Details = &metav1.StatusDetails{RetryAfterSeconds: plan.RetryAfterSeconds}
	} else if len(plan.Operations) > 0 {
		operations, err := patch.Marshal(plan.Operations)
		if err != nil {
			return nil, err
		}
		response.Patch, response.PatchType = operations, &patchType
	}
	return json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: response,
	})
}

func status(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Code:     code,
		Reason:   reason,
		Message:  message,
	}
}
