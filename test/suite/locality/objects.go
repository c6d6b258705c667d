package main

import (
	"context"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/dagger-inject/dagger-inject/test/rig/enginechart"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/fleet"
	"github.com/dagger-inject/dagger-inject/test/suite/locality/sim"
)

// engineFolder is the release of the engine, a folder of test/data/engines.
const engineFolder = "v0.21.8-default"

// installEngine creates the DaemonSet of the official Dagger chart, with a status in its controller's place.
func (c *cluster) installEngine(ctx context.Context) error {
	objects, err := enginechart.Release(engineFolder, enginechart.DefaultRelease)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if object.GetKind() != "DaemonSet" {
			continue
		}
		set := &appsv1.DaemonSet{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, set); err != nil {
			return err
		}
		created, err := c.client.AppsV1().DaemonSets(set.Namespace).Create(ctx, set, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		created.Status = appsv1.DaemonSetStatus{
			ObservedGeneration: created.Generation, DesiredNumberScheduled: 1, CurrentNumberScheduled: 1, UpdatedNumberScheduled: 1,
			NumberReady: 1, NumberAvailable: 1,
		}
		c.engine, err = c.client.AppsV1().DaemonSets(set.Namespace).UpdateStatus(ctx, created, metav1.UpdateOptions{})
		return err
	}
	return fmt.Errorf("there is no DaemonSet in %s", engineFolder)
}

func quantities(cpu, memory int64) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(cpu, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(memory<<20, resource.BinarySI),
	}
}

// createJob creates the pod of a project's job, with the marks by which GitLab Runner's pods are known. Without a node the scheduler finds
// one.
func (c *cluster) createJob(
	ctx context.Context, w *fleet.Workload, namespace, name string, project int, node string, opts metav1.CreateOptions,
) (*corev1.Pod, error) {
	id := strconv.Itoa(project)
	requests := quantities(int64(w.Requests*sim.CPU/float64(w.Slots)), int64(w.Requests*sim.JobMemory))
	return c.client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{"job.runner.gitlab.com/pod": name, "project.runner.gitlab.com/id": id},
			Annotations: map[string]string{"job.runner.gitlab.com/id": name, "project.runner.gitlab.com/id": id},
		},
		Spec: corev1.PodSpec{
			NodeName:      node,
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{
				{Name: "build", Image: "registry.example.com/build", Resources: corev1.ResourceRequirements{Requests: requests}},
				{Name: "helper", Image: "registry.example.com/helper"},
			},
		},
	}, opts)
}
