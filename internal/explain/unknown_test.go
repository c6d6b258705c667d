package explain_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// withoutPolicies is a cluster of which somebody may read all but the policies.
type withoutPolicies struct{ cluster.Objects }

func (w withoutPolicies) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	if _, isPolicy := into.(*corev1.ConfigMap); isPolicy {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, key.Name, nil)
	}
	return w.Objects.Get(ctx, key, into, opts...)
}

// TestAPolicyThatMayNotBeReadIsNotCalledInvalid: a warning that it is missing would be taken for the cause.
func TestAPolicyThatMayNotBeReadIsNotCalledInvalid(t *testing.T) {
	e := &explain.Explainer{ReleaseNamespace: "dagger-inject", Reader: withoutPolicies{objects(t, &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: "ci", Labels: map[string]string{inject.LabelInject: "true"}},
	})}}
	about, err := e.Namespace(t.Context(), "ci")
	require.NoError(t, err)
	require.Equal(t, explain.OutcomeUnknown, about.Unlabelled.Outcome)
	require.Contains(t, about.Unlabelled.Message, "the policy cannot be read from here")
	require.Empty(t, about.Unlabelled.Warnings)
}
