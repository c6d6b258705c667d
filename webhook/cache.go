package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/dagger-inject/dagger-inject/config"
)

// cacheOptions keeps of the cluster what decisions need: the metadata of namespaces, the bounds of LimitRanges, and the
// ConfigMaps of one name. Nothing here writes what it reads, so the cache need not copy on every read.
func cacheOptions() cache.Options {
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		namespaceType():      {UnsafeDisableDeepCopy: ptr.To(true), Transform: stripNamespace},
		&corev1.LimitRange{}: {UnsafeDisableDeepCopy: ptr.To(true), Transform: stripLimitRange},
		&corev1.ConfigMap{}: {
			UnsafeDisableDeepCopy: ptr.To(true), Transform: stripConfigMap,
			// RBAC lets us see these and no other: a list that asks for one name is granted by resourceNames.
			Field: fields.OneTermEqualSelector(metav1.ObjectNameField, config.ConfigMapName),
		},
	}}
}

func stripNamespace(obj any) (any, error) {
	if ns, ok := obj.(*metav1.PartialObjectMetadata); ok {
		ns.ManagedFields = nil
		delete(ns.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	return obj, nil
}

func stripConfigMap(obj any) (any, error) {
	if cm, ok := obj.(*corev1.ConfigMap); ok {
		config.Shrink(cm)
	}
	return obj, nil
}

// watch starts the informers that decisions need, with the store fed by the ConfigMaps where there is one, and returns the
// check that they are all read and taken in.
func watch(ctx context.Context, c cache.Cache, store *PolicyStore) (healthz.Checker, error) {
	synced := map[string]func() bool{}
	kinds := map[string]client.Object{"namespaces": namespaceType(), "LimitRanges": &corev1.LimitRange{}}
	if store != nil {
		kinds["policies"] = &corev1.ConfigMap{}
	}
	for name, kind := range kinds {
		informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching %s: %w", name, err)
		}
		synced[name] = informer.HasSynced
		if name == "policies" {
			var registration toolscache.ResourceEventHandlerRegistration
			if registration, err = informer.AddEventHandler(store.handler()); err != nil {
				return nil, fmt.Errorf("watching %s: %w", name, err)
			}
			synced[name] = registration.HasSynced
		}
	}
	return func(*http.Request) error {
		for name, done := range synced {
			if !done() {
				return errors.New("the " + name + " are not read yet")
			}
		}
		return nil
	}, nil
}
