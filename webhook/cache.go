package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// cacheOptions caches only what decisions need: the metadata of namespaces and the bounds of LimitRanges. Nothing here modifies
// what it reads, so reads need not copy.
func cacheOptions() cache.Options {
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		namespaceType():      {UnsafeDisableDeepCopy: ptr.To(true), Transform: stripNamespace},
		&corev1.LimitRange{}: {UnsafeDisableDeepCopy: ptr.To(true), Transform: stripLimitRange},
	}}
}

// stripNamespace keeps the parts of a namespace that decisions read. The owner of a namespace can write 256 KiB of annotations,
// which must not stay in memory.
func stripNamespace(obj any) (any, error) {
	if ns, ok := obj.(*metav1.PartialObjectMetadata); ok {
		ns.UID, ns.ManagedFields, ns.OwnerReferences, ns.Finalizers = "", nil, nil, nil
		all := ns.Annotations
		ns.Annotations = nil
		for _, name := range inject.NamespaceAnnotations {
			if value, ok := all[name]; ok {
				metav1.SetMetaDataAnnotation(&ns.ObjectMeta, name, value)
			}
		}
		// Most namespaces have the same label names with different values: intern the names.
		labels := make(map[string]string, len(ns.Labels))
		for name, value := range ns.Labels {
			labels[unique.Make(name).Value()] = value
		}
		ns.Labels = labels
	}
	return obj, nil
}

func stripConfigMap(obj any) (any, error) {
	if cm, ok := obj.(*corev1.ConfigMap); ok {
		config.Shrink(cm)
	}
	return obj, nil
}

// watch starts the informers that decisions need, and returns the readiness check that they and the policies have synced.
func watch(ctx context.Context, c cache.Cache, policies *policyFeed) (healthz.Checker, error) {
	synced := map[string]func() bool{}
	kinds := map[string]client.Object{"namespaces": namespaceType(), "LimitRanges": &corev1.LimitRange{}}
	if policies != nil {
		synced["policies"] = policies.synced.Load
	}
	for name, kind := range kinds {
		informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching %s: %w", name, err)
		}
		synced[name] = informer.HasSynced
	}
	return func(*http.Request) error {
		var missing []string
		for name, done := range synced {
			if !done() {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		slices.Sort(missing)
		return errors.New("not read yet: " + strings.Join(missing, ", "))
	}, nil
}
