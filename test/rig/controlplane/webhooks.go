package controlplane

import (
	"context"
	"errors"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

// RegisterWebhooks creates mutating and validating webhook configurations, or replaces those of the same name, and
// returns once the API server uses them. It leaves the objects that it is given unchanged.
func (cp *ControlPlane) RegisterWebhooks(ctx context.Context, configurations ...client.Object) error {
	probes, err := probes(configurations)
	if err != nil {
		return err
	}
	for _, configuration := range configurations {
		if err := cp.put(ctx, configuration); err != nil {
			return fmt.Errorf("registering the webhooks %s: %w", configuration.GetName(), err)
		}
	}
	return cp.settle(ctx, probes)
}

// DeleteWebhooks deletes webhook configurations by name and returns once the API server no longer uses them.
func (cp *ControlPlane) DeleteWebhooks(ctx context.Context, configurations ...client.Object) error {
	probes, err := probes(configurations)
	if err != nil {
		return err
	}
	for _, configuration := range configurations {
		if err := cp.client.Delete(ctx, configuration); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the webhooks %s: %w", configuration.GetName(), err)
		}
	}
	return cp.settle(ctx, probes)
}

// put creates an object or replaces the one of the same name.
func (cp *ControlPlane) put(ctx context.Context, object client.Object) error {
	wanted := object.DeepCopyObject().(client.Object)
	wanted.SetResourceVersion("")
	if err := cp.client.Create(ctx, wanted); !apierrors.IsAlreadyExists(err) {
		return err
	}
	existing := object.DeepCopyObject().(client.Object)
	if err := cp.client.Get(ctx, client.ObjectKeyFromObject(object), existing); err != nil {
		return err
	}
	wanted.SetResourceVersion(existing.GetResourceVersion())
	return cp.client.Update(ctx, wanted)
}

// probeLabel selects the only objects that a probe applies to.
const probeLabel = "controlplane.test/probe"

// probes returns one configuration for each of the kinds among those given. Its webhook cannot be reached, so an object
// that bears its name as a label is refused as soon as it is in effect.
func probes(configurations []client.Object) ([]client.Object, error) {
	// A name never used before: a probe's deletion takes as long to be seen as its creation.
	name := rand.String(10) + ".probe.controlplane.test"
	meta := metav1.ObjectMeta{Name: name}
	unreachable := admissionv1.WebhookClientConfig{URL: ptr.To("https://127.0.0.1:1")}
	rules := []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.Create},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"podtemplates"}},
	}}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{probeLabel: name}}
	effects := ptr.To(admissionv1.SideEffectClassNone)
	versions := []string{"v1"}

	var mutating, validating client.Object
	for _, configuration := range configurations {
		switch configuration.(type) {
		case *admissionv1.MutatingWebhookConfiguration:
			mutating = &admissionv1.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.MutatingWebhook{{
				Name: name, ClientConfig: unreachable, Rules: rules, ObjectSelector: selector, SideEffects: effects, AdmissionReviewVersions: versions,
			}}}
		case *admissionv1.ValidatingWebhookConfiguration:
			validating = &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admissionv1.ValidatingWebhook{{
				Name: name, ClientConfig: unreachable, Rules: rules, ObjectSelector: selector, SideEffects: effects, AdmissionReviewVersions: versions,
			}}}
		default:
			return nil, fmt.Errorf("%T is not a webhook configuration", configuration)
		}
	}
	var found []client.Object
	for _, probe := range []client.Object{mutating, validating} {
		if probe != nil {
			found = append(found, probe)
		}
	}
	return found, nil
}

// settle returns once the API server has seen every change so far to configurations of the probes' kinds. It learns of changes
// from one watch a kind, late but in order: once a probe created now is in effect, so are they.
func (cp *ControlPlane) settle(ctx context.Context, probes []client.Object) error {
	for _, probe := range probes {
		name := probe.GetName()
		if err := cp.client.Create(ctx, probe); err != nil {
			return fmt.Errorf("creating a probe: %w", err)
		}
		err := soon(ctx, "the API server sees the webhooks", func(ctx context.Context) error {
			err := cp.try(ctx, metav1.NamespaceDefault, map[string]string{probeLabel: name})
			switch {
			case err == nil:
				return errors.New("it calls none of the probe's")
			case apierrors.IsInternalError(err) && strings.Contains(err.Error(), name):
				return nil
			default:
				return poll.Fatal(err)
			}
		})
		// A probe left behind would be in what the caller's tests list.
		deleted := cp.client.Delete(context.WithoutCancel(ctx), probe)
		if err := errors.Join(err, deleted); err != nil {
			return err
		}
	}
	return nil
}
