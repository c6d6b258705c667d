package localcluster

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject/registration"
)

// ReleaseNamespace is where tests install the chart, under a release of the same name.
const ReleaseNamespace = "dagger-inject"

// Replicas returns the webhook's pods that are not being deleted, in no order.
func (c *Cluster) Replicas(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	// The check's pods have another component.
	selector, err := labels.Parse("app.kubernetes.io/name=dagger-inject,app.kubernetes.io/component!=check")
	if err != nil {
		return nil, err
	}
	webhooks := client.MatchingLabelsSelector{Selector: selector}
	if err := c.Client().List(ctx, &pods, client.InNamespace(ReleaseNamespace), webhooks); err != nil {
		return nil, err
	}
	var found []corev1.Pod
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil {
			found = append(found, pod)
		}
	}
	return found, nil
}

// CABundle returns the CAs with which the API server verifies the webhook.
func (c *Cluster) CABundle(ctx context.Context) (string, error) {
	var configuration admissionregistrationv1.MutatingWebhookConfiguration
	if err := c.Client().Get(ctx, client.ObjectKey{Name: registration.ConfigurationName}, &configuration); err != nil {
		return "", err
	}
	if len(configuration.Webhooks) == 0 {
		return "", fmt.Errorf("the webhook configuration %s has no entries", registration.ConfigurationName)
	}
	return string(configuration.Webhooks[0].ClientConfig.CABundle), nil
}

// RunnerPod returns a pod as a runner of an ARC scale set looks, for no scheduler. With a label it asks for injection
// itself; without, its namespace has to.
func RunnerPod(namespace string, labelled bool) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, GenerateName: "runner-", Labels: map[string]string{"actions-ephemeral-runner": "True"},
		},
		Spec: corev1.PodSpec{
			SchedulerName: "nobody",
			Containers: []corev1.Container{{
				Name: "runner", Image: "ghcr.io/actions/actions-runner:latest", Command: []string{"/home/runner/run.sh"},
			}},
			RestartPolicy: corev1.RestartPolicyNever,
		},
	}
	if labelled {
		pod.Labels["dagger.io/inject"] = "true"
	}
	return pod
}
