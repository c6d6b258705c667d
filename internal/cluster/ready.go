package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// ReadyEngines reads which pods of engines are ready in some namespaces, as the webhook does.
func ReadyEngines(ctx context.Context, r client.Reader, namespaces []string) (engine.Ready, error) {
	var pods []engine.Pod
	for _, namespace := range namespaces {
		var list corev1.PodList
		if err := r.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("reading the pods of %s: %w", namespace, err)
		}
		pods = append(pods, EnginePods(list.Items)...)
	}
	ready, _ := engine.NewReady(slices.Values(pods), time.Now(), nil)
	return ready, nil
}

// EnginePods returns those of the pods that run engines.
func EnginePods(pods []corev1.Pod) []engine.Pod {
	var of []engine.Pod
	for i := range pods {
		if pod, is := engine.PodOf(&pods[i]); is {
			of = append(of, pod)
		}
	}
	return of
}
