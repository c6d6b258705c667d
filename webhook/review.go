package webhook

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// request has the fields of an AdmissionReview's request that the webhook uses. The pod stays a position in the raw text.
type request struct {
	uid       string
	namespace string
	operation string
	dryRun    bool
	pod       rawjson.Value
}

// readRequest returns the request in an AdmissionReview. The error names the field that is wrong.
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
	if r.uid == "" || len(r.uid) > 128 {
		return nil, fmt.Errorf("request.uid: want a string of 1 to 128 bytes")
	}
	r.namespace, _ = body.Get("namespace").Str()
	r.operation, _ = body.Get("operation").Str()
	r.dryRun, _ = body.Get("dryRun").Bool()
	if r.operation != string(admissionv1.Create) {
		return r, nil
	}
	if r.namespace == "" || len(r.namespace) > 63 {
		return nil, fmt.Errorf("request.namespace: want a string of 1 to 63 bytes")
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

// podName returns the pod's name, or its prefix: controllers often let the API server complete it.
func (r *request) podName() string {
	metadata := r.pod.Get("metadata")
	if name, _ := metadata.Get("name").Str(); name != "" {
		return name
	}
	prefix, _ := metadata.Get("generateName").Str()
	return prefix + "*"
}

// respond encodes the answer to a decided request in the buffer's memory. The audit annotation "reason" has the Reason; the API
// server prefixes the entry's name. A refusal has the code 503: ARC gives a runner up for good on 403 and 422, and retries
// after anything else (its ephemeralrunner_controller.go).
func respond(r *request, plan *inject.Plan, b *buffer) ([]byte, error) {
	dst := append(b.answer[:0], `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":`...)
	dst = patch.AppendString(dst, r.uid)
	dst = append(dst, `,"allowed":`...)
	dst = strconv.AppendBool(dst, plan.Decision != inject.DecisionRefused)
	if plan.Decision == inject.DecisionRefused {
		result := status(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, terminal.Escape(plan.Message()))
		result.Details = &metav1.StatusDetails{RetryAfterSeconds: plan.RetryAfterSeconds}
		text, err := json.Marshal(result)
		if err != nil {
			return nil, err
		}
		dst = append(append(dst, `,"status":`...), text...)
	} else if len(plan.Operations) > 0 {
		b.patch = patch.Append(b.patch[:0], plan.Operations)
		dst = append(dst, `,"patch":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, b.patch)
		dst = append(dst, `","patchType":"JSONPatch"`...)
	}
	if len(plan.Warnings) > 0 {
		dst = append(dst, `,"warnings":[`...)
		for i, w := range plan.Warnings {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = patch.AppendString(dst, w)
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `,"auditAnnotations":{"reason":`...)
	dst = patch.AppendString(dst, string(plan.Reason))
	dst = append(dst, `}}}`...)
	b.answer = dst
	return dst, nil
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
