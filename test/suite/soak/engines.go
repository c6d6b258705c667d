package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

// engineRelease is a release of the official Dagger chart. Its DaemonSet is the real controller's, and no engine runs: the soak says
// of its pods what a kubelet would.
type engineRelease struct{ name, version string }

var (
	oldEngine = engineRelease{name: "dagger-v0-20-8", version: "v0.20.8"}
	newEngine = engineRelease{name: "dagger-v0-21-8", version: "v0.21.8"}
)

func (e engineRelease) key() client.ObjectKey {
	return client.ObjectKey{Namespace: enginechart.Namespace, Name: enginechart.Workload(e.name)}
}

// workload is how dagger-inject names the engine.
func (e engineRelease) workload() string { return "DaemonSet " + e.key().String() }

func (e engineRelease) image() string { return "registry.dagger.io/engine:" + e.version }

// engineOf returns the engine that a job was given. It is an error if any part of the job is of another one.
func engineOf(pod *corev1.Pod) (engineRelease, error) {
	var status inject.Status
	if err := json.Unmarshal([]byte(pod.Annotations[inject.AnnotationStatus]), &status); err != nil {
		return engineRelease{}, err
	}
	all := []engineRelease{oldEngine, newEngine}
	i := slices.IndexFunc(all, func(e engineRelease) bool { return e.workload() == status.ReadFrom })
	if i < 0 {
		return engineRelease{}, fmt.Errorf("it was given %q, which is no engine here", status.ReadFrom)
	}
	e := all[i]
	cli := slices.IndexFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == "dagger-cli" })
	if cli < 0 || pod.Spec.InitContainers[cli].Image != e.image() || status.CLIImage != e.image() {
		return e, fmt.Errorf("it was given the engine %s and a CLI of %q", e.version, status.CLIImage)
	}
	if directory := socketDirectory(pod); directory != "/run/"+enginechart.DefaultRelease+"-"+e.name+"-dagger-helm" {
		return e, fmt.Errorf("it was given the engine %s, and the socket at %q", e.version, directory)
	}
	return e, nil
}

// socketDirectory returns the node's directory with the socket that the job container's client is told to use.
func socketDirectory(pod *corev1.Pod) string {
	job := pod.Spec.Containers[0]
	for _, variable := range job.Env {
		if variable.Name != inject.EnvRunnerHost {
			continue
		}
		for _, mount := range job.VolumeMounts {
			if "unix://"+path.Join(mount.MountPath, "engine.sock") != variable.Value {
				continue
			}
			for _, volume := range pod.Spec.Volumes {
				if volume.Name == mount.Name && volume.HostPath != nil {
					return volume.HostPath.Path
				}
			}
		}
	}
	return ""
}

// installEngine installs a release of the chart, as "helm install" does without waiting.
func (s *soak) installEngine(ctx context.Context, e engineRelease) error {
	objects, err := enginechart.Release(e.version+"-default", e.name)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := s.cluster.Client().Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// uninstallEngine removes a release, and waits until it and its pods are gone.
func (s *soak) uninstallEngine(ctx context.Context, e engineRelease) error {
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: e.key().Namespace, Name: e.key().Name}}
	if err := s.cluster.Client().Delete(ctx, set); err != nil {
		return err
	}
	return poll.Until(ctx, "the engine "+e.version+" is gone", 50*time.Millisecond, time.Minute, func(ctx context.Context) error {
		pods, err := s.enginePods(ctx, e)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("it has %d pods", len(pods))
		}
		return err
	})
}

func (s *soak) enginePods(ctx context.Context, e engineRelease) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := s.cluster.Client().List(ctx, &pods, client.InNamespace(e.key().Namespace), client.MatchingLabels{"name": e.key().Name})
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods.Items, err
}

// setReady makes so many of an engine's pods ready and the others not, and waits until its DaemonSet says that of all nodes.
func (s *soak) setReady(ctx context.Context, e engineRelease, ready int) error {
	what := fmt.Sprintf("%d of %d pods of the engine %s are ready", ready, len(s.nodes), e.version)
	return poll.Until(ctx, what, 20*time.Millisecond, time.Minute, func(ctx context.Context) error {
		pods, err := s.enginePods(ctx, e)
		if err != nil {
			return poll.Fatal(err)
		}
		if len(pods) != len(s.nodes) {
			return fmt.Errorf("it has %d pods", len(pods)) // which of them are first is not known before
		}
		for i := range pods {
			if err := s.reportReady(ctx, &pods[i], i < ready); err != nil {
				return err
			}
		}
		var set appsv1.DaemonSet
		if err := s.cluster.Client().Get(ctx, e.key(), &set); err != nil {
			return poll.Fatal(err)
		}
		status := set.Status
		if status.ObservedGeneration < set.Generation || int(status.DesiredNumberScheduled) != len(s.nodes) ||
			int(status.UpdatedNumberScheduled) != len(s.nodes) || int(status.NumberReady) != ready {
			return fmt.Errorf("of %d pods for %d nodes %d are ready", status.UpdatedNumberScheduled, status.DesiredNumberScheduled,
				status.NumberReady)
		}
		return nil
	})
}

// reportReady writes the status of an engine's pod, as a kubelet does.
func (s *soak) reportReady(ctx context.Context, pod *corev1.Pod, ready bool) error {
	value := corev1.ConditionFalse
	if ready {
		value = corev1.ConditionTrue
	}
	for _, have := range pod.Status.Conditions {
		if have.Type == corev1.PodReady && have.Status == value {
			return nil
		}
	}
	return s.patchStatus(ctx, pod, corev1.PodStatus{Phase: corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: value, LastTransitionTime: metav1.Now()}}})
}

// patchStatus writes what a kubelet would say of a pod.
func (s *soak) patchStatus(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	return s.cluster.Client().Status().Patch(ctx, pod, client.RawPatch("application/strategic-merge-patch+json", patch))
}
