package integration

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

func pool(ca []byte) *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM(ca)
	return p
}

var admin = sync.OnceValues(func() (*http.Client, error) { return rest.HTTPClientFor(shared.Config()) })

// creation is what the API server answered to a creation.
type creation struct {
	code     int
	header   http.Header
	status   metav1.Status
	stored   string // the pod, where it was created
	pod      corev1.Pod
	warnings []string
}

// create posts a pod as it is. No client library stands between: one would read a Retry-After and wait.
func create(t *testing.T, namespace string, pod []byte, query string) creation {
	t.Helper()
	client, err := admin()
	require.NoError(t, err)
	url := fmt.Sprintf("%s/api/v1/namespaces/%s/pods%s", strings.TrimRight(shared.Config().Host, "/"), namespace, query)
	response, err := client.Post(url, "application/json", bytes.NewReader(pod))
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	c := creation{code: response.StatusCode, header: response.Header, warnings: response.Header.Values("Warning")}
	if c.code == http.StatusCreated {
		c.stored = string(text)
		require.NoError(t, json.Unmarshal(text, &c.pod))
	} else {
		require.NoError(t, json.Unmarshal(text, &c.status), string(text))
	}
	return c
}

// review wraps a pod in an AdmissionReview of its creation.
func review(t *testing.T, namespace, pod string) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": namespace,
			"kind":     map[string]string{"group": "", "version": "v1", "kind": "Pod"},
			"resource": map[string]string{"group": "", "version": "v1", "resource": "pods"},
			"object":   json.RawMessage(pod),
		},
	})
	require.NoError(t, err)
	return body
}

func readReview(t *testing.T, text []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	var answer admissionv1.AdmissionReview
	require.NoError(t, json.Unmarshal(text, &answer), string(text))
	require.NotNil(t, answer.Response, string(text))
	return answer.Response
}
