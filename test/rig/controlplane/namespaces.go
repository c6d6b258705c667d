package controlplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

// CreateNamespace creates a namespace and, in a controller's place, its default service account, without which the API
// server refuses pods.
func (cp *ControlPlane) CreateNamespace(ctx context.Context, name string, labels, annotations map[string]string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Annotations: annotations}}
	if err := cp.client.Create(ctx, namespace); err != nil {
		return fmt.Errorf("creating the namespace %s: %w", name, err)
	}
	return cp.CreateServiceAccounts(ctx, name, "default")
}

// CreateServiceAccounts creates service accounts; those that exist are left as they are.
func (cp *ControlPlane) CreateServiceAccounts(ctx context.Context, namespace string, names ...string) error {
	for _, name := range names {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if err := cp.client.Create(ctx, account); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating the service account %s/%s: %w", namespace, name, err)
		}
	}
	return nil
}

// CreateRuntimeClass creates a runtime class, without which the API server refuses pods that name it; one that exists is left as
// it is.
func (cp *ControlPlane) CreateRuntimeClass(ctx context.Context, name string) error {
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: "runc"}
	if err := cp.client.Create(ctx, class); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the runtime class %s: %w", name, err)
	}
	return nil
}

// Quota is the name of the ResourceQuota that CreateQuota creates.
const Quota = "quota"

// CreateQuota creates a ResourceQuota, fills in its status in a controller's place, and returns once the API server
// enforces it. Usage is never given back, since a controller would do that. The quota also forbids pod templates, which
// nobody uses: by trying one, CreateQuota knows that the quota counts.
func (cp *ControlPlane) CreateQuota(ctx context.Context, namespace string, hard corev1.ResourceList) error {
	hard = maps.Clone(hard)
	if hard == nil {
		hard = corev1.ResourceList{}
	}
	hard["count/podtemplates"] = resource.MustParse("0")
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Quota},
		Spec:       corev1.ResourceQuotaSpec{Hard: hard},
	}
	if err := cp.client.Create(ctx, quota); err != nil {
		return fmt.Errorf("creating a quota in %s: %w", namespace, err)
	}
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{}}
	for name := range hard {
		quota.Status.Used[name] = resource.MustParse("0")
	}
	if err := cp.client.Status().Update(ctx, quota); err != nil {
		return fmt.Errorf("filling the status of the quota in %s: %w", namespace, err)
	}
	return soon(ctx, "the quota in "+namespace+" counts", func(ctx context.Context) error {
		switch err := cp.try(ctx, namespace, nil); {
		case err == nil:
			return errors.New("it refuses nothing")
		case !apierrors.IsForbidden(err):
			return poll.Fatal(err)
		case !strings.Contains(err.Error(), "exceeded quota: "+Quota):
			return err // that of the quota before its status is known
		default:
			return nil
		}
	})
}

// try asks the API server to create a pod template and not to keep it: admission runs, on a kind that concerns nobody.
func (cp *ControlPlane) try(ctx context.Context, namespace string, labels map[string]string) error {
	pod := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe"}}}}
	return cp.client.Create(ctx, &corev1.PodTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "probe-", Labels: labels},
		Template:   pod,
	}, client.DryRunAll)
}
