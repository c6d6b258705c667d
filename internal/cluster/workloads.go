package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster/client"
)

// Workloads reads the objects of a namespace among which engines are looked for.
func Workloads(ctx context.Context, r client.Reader, namespace string) (*engine.Workloads, error) {
	var daemonSets appsv1.DaemonSetList
	var statefulSets appsv1.StatefulSetList
	var deployments appsv1.DeploymentList
	var services corev1.ServiceList
	for _, list := range []client.ObjectList{&daemonSets, &statefulSets, &deployments, &services} {
		if err := r.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("reading the namespace %s: %w", namespace, err)
		}
	}
	return &engine.Workloads{
		DaemonSets: daemonSets.Items, StatefulSets: statefulSets.Items, Deployments: deployments.Items, Services: services.Items,
	}, nil
}

// Engines reads engines from the cluster, as the webhook does, each namespace once.
type Engines struct {
	ctx    context.Context
	reader client.Reader
	own    string
	read   map[string]namespace
}

type namespace struct {
	*engine.Workloads
	err error
}

// NewEngines returns Engines that read with a context. The empty name stands for own, the namespace of the pods; own is empty
// if they have no common namespace.
func NewEngines(ctx context.Context, r client.Reader, own string) *Engines {
	return &Engines{ctx: ctx, reader: r, own: own, read: map[string]namespace{}}
}

// Discover finds the engines of a namespace; it is an inject.Engines.
func (e *Engines) Discover(name string, selector labels.Selector) (*engine.Found, error) {
	name = cmp.Or(name, e.own)
	known := e.workloads(name)
	if known.err != nil {
		return nil, known.err
	}
	found, err := known.Discover(selector)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", name, err)
	}
	return found, nil
}

func (e *Engines) workloads(name string) namespace {
	known, read := e.read[name]
	if name == "" {
		return namespace{err: errors.New("which namespace is the pod's own is not known")}
	}
	if !read {
		known.Workloads, known.err = Workloads(e.ctx, e.reader, name)
		e.read[name] = known
	}
	return known
}

// Err returns why a namespace cannot be read, or nil if it can be or was never read.
func (e *Engines) Err(namespace string) error { return e.read[cmp.Or(namespace, e.own)].err }

// Pods returns the pods of a workload of the namespace, by the workload's name in the form Kind namespace/name.
func (e *Engines) Pods(namespace, workload string) ([]corev1.Pod, error) {
	namespace = cmp.Or(namespace, e.own)
	runs, err := e.Runs(namespace, workload)
	if err != nil {
		return nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(runs.Selector)
	if err != nil {
		return nil, err
	}
	var pods corev1.PodList
	err = e.reader.List(e.ctx, &pods, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector})
	return pods.Items, err
}

// IsReady reports whether a pod is ready.
func IsReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// PolicyDocuments reads the policy in a namespace's ConfigMap. It returns nil if there is none.
func PolicyDocuments(ctx context.Context, r client.Reader, namespace string, origin config.Origin) (*config.Documents, error) {
	var cm corev1.ConfigMap
	err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: config.ConfigMapName}, &cm)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the ConfigMap %s/%s: %w", namespace, config.ConfigMapName, err)
	}
	return config.FromConfigMap(&cm, origin), nil
}
