package webhook

import (
	"context"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dagger-inject/dagger-inject/config"
)

// policyFeed keeps a PolicyStore in step with the cluster's ConfigMaps. An informer would also keep every ConfigMap and an
// index, which together need more memory than the store.
type policyFeed struct {
	store  *PolicyStore
	source toolscache.ListerWatcher
	synced atomic.Bool
}

var (
	_ manager.LeaderElectionRunnable = &policyFeed{}
	_ toolscache.TransformingStore   = &policyFeed{}
)

// newPolicyFeed returns a feed that the manager is to start.
func newPolicyFeed(mgr manager.Manager, store *PolicyStore) (*policyFeed, error) {
	kind := corev1.SchemeGroupVersion.WithKind("ConfigMap")
	c, err := apiutil.RESTClientForGVK(kind, false, false, mgr.GetConfig(), scheme.Codecs, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("watching policies: %w", err)
	}
	// RBAC permits only these: resourceNames grants a list that asks for one name.
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, config.ConfigMapName)
	return &policyFeed{store: store, source: toolscache.NewListWatchFromClient(c, "configmaps", metav1.NamespaceAll, only)}, nil
}

// Start feeds the store until ctx ends.
func (f *policyFeed) Start(ctx context.Context) error {
	toolscache.NewReflector(f.source, &corev1.ConfigMap{}, f, 0).RunWithContext(ctx)
	return nil
}

// NeedLeaderElection says that every replica has a store.
func (f *policyFeed) NeedLeaderElection() bool { return false }

// Add, Update, Delete and Replace are what a reflector calls.

// Add stores a new ConfigMap.
func (f *policyFeed) Add(obj any) error { return f.Update(obj) }

// Update stores a ConfigMap that has changed.
func (f *policyFeed) Update(obj any) error {
	f.store.Set(obj.(*corev1.ConfigMap))
	return nil
}

// Delete removes a ConfigMap.
func (f *policyFeed) Delete(obj any) error {
	f.store.Delete(obj.(*corev1.ConfigMap))
	return nil
}

// Replace stores all existing ConfigMaps.
func (f *policyFeed) Replace(list []any, _ string) error {
	f.store.setAll(list)
	f.synced.Store(true)
	return nil
}

// Resync does nothing, since the store drops nothing.
func (f *policyFeed) Resync() error { return nil }

// Transformer shrinks ConfigMaps as they arrive, before the whole list is in memory.
func (f *policyFeed) Transformer() toolscache.TransformFunc { return stripConfigMap }
