package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

const (
	// jobContainer is the container that runs the job.
	jobContainer = "runner"
	runnerImage  = "dagger-inject.test/runner:1"
	patience     = 2 * time.Minute
)

// bench measures variants on a node.
type bench struct {
	client.Client
	events   *events
	variants []variant
	// namespaces are those of the variants.
	namespaces map[string]string
}

// prepare makes a namespace for each variant.
func (b *bench) prepare(ctx context.Context) error {
	b.namespaces = map[string]string{}
	for _, v := range b.variants {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "startup-"}}
		if err := b.Create(ctx, ns); err != nil {
			return err
		}
		b.namespaces[v.name] = ns.Name
		if v.policy != "" {
			policy := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "dagger-inject-policy"},
				Data:       map[string]string{"policy.yaml": "apiVersion: inject.dagger.io/v1alpha1\nkind: InjectionPolicy\n" + v.policy},
			}
			if err := b.Create(ctx, policy); err != nil {
				return err
			}
		}
		account := client.ObjectKey{Namespace: ns.Name, Name: "default"}
		err := poll.Until(ctx, "pods can be created", 50*time.Millisecond, patience, func(ctx context.Context) error {
			return b.Get(ctx, account, &corev1.ServiceAccount{})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// measure creates rounds pods of every variant, one at a time and in turns, so that what else the machine does hits all alike.
func (b *bench) measure(ctx context.Context, rounds int, progress io.Writer) (map[string][]sample, error) {
	samples := map[string][]sample{}
	for round := range rounds + 1 {
		for _, v := range b.variants {
			s, err := b.one(ctx, v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			if round > 0 { // The first fills caches.
				samples[v.name] = append(samples[v.name], s)
			}
		}
		_, _ = fmt.Fprintf(progress, "startup: round %d of %d\n", round, rounds)
	}
	return samples, nil
}

// one creates one pod and returns its times.
func (b *bench) one(ctx context.Context, v variant) (s sample, err error) {
	// The kubelet looks at its containers once a second: without a pause of random length, pods that follow each other would all
	// meet the same part of that second.
	pause := time.Duration(rand.Int64N(int64(time.Second)))
	select {
	case <-ctx.Done():
		return s, ctx.Err()
	case <-time.After(pause):
	}
	pod, err := b.pod(ctx, v)
	if err != nil {
		return s, err
	}
	created := time.Now()
	if err := b.Create(ctx, pod); err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, b.remove(context.WithoutCancel(ctx), pod)) }()
	injected := slices.ContainsFunc(pod.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == inject.EnvRunnerHost })
	if injected != (v.name != baseline) {
		return s, fmt.Errorf("injected: %t, and the webhook says %q", injected, pod.Annotations[inject.AnnotationStatus])
	}
	err = poll.Until(ctx, "the job has ended", 50*time.Millisecond, patience, func(ctx context.Context) error {
		if err := b.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		for _, status := range pod.Status.InitContainerStatuses {
			if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 {
				return poll.Fatal(fmt.Errorf("%s has failed: %s", status.Name, ended.Message))
			}
		}
		for _, status := range pod.Status.ContainerStatuses {
			if status.State.Terminated == nil {
				return fmt.Errorf("%s: %s", status.Name, status.State.String())
			}
		}
		if len(pod.Status.ContainerStatuses) == 0 {
			return errors.New("no container has started")
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	return b.sampleOf(created, pod)
}

func (b *bench) sampleOf(created time.Time, pod *corev1.Pod) (sample, error) {
	s := sample{created: created, sandbox: b.events.sandboxSince(created)}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		t, err := b.events.of(strings.TrimPrefix(c.ContainerID, "containerd://"))
		if err != nil {
			return s, fmt.Errorf("%s: %w", c.Name, err)
		}
		s.containers = append(s.containers, container{c.Name, t})
	}
	return s, nil
}

// remove deletes a pod, and waits until nothing of it runs.
func (b *bench) remove(ctx context.Context, pod *corev1.Pod) error {
	if err := b.Delete(ctx, pod); err != nil {
		return err
	}
	return poll.Until(ctx, "the pod is gone", 100*time.Millisecond, patience, func(ctx context.Context) error {
		err := b.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		if err == nil {
			return fmt.Errorf("it is %s", pod.Status.Phase)
		}
		return client.IgnoreNotFound(err)
	})
}

// pod returns the pod of a variant, as it is to be created.
func (b *bench) pod(ctx context.Context, v variant) (*corev1.Pod, error) {
	pod := runnerPod(b.namespaces[v.name])
	pod.Labels[inject.LabelInject] = v.inject
	if v.change == nil {
		return pod, nil
	}
	pod.Labels[inject.LabelInject] = "true"
	err := poll.Until(ctx, "the pod is admitted", 100*time.Millisecond, patience, func(ctx context.Context) error {
		err := b.Create(ctx, pod, client.DryRunAll)
		if apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) {
			return err
		}
		return poll.Fatal(err)
	})
	if err != nil {
		return nil, err
	}
	v.change(pod)
	pod.ObjectMeta = metav1.ObjectMeta{Namespace: pod.Namespace, GenerateName: pod.GenerateName, Annotations: pod.Annotations,
		Labels: pod.Labels}
	pod.Labels[inject.LabelInject] = "false"
	return pod, nil
}

// runnerPod is a pod as an ARC scale set makes it, of the class Burstable: in a pod without resources our init containers have no
// limits.
func runnerPod(namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "runner-", Labels: map[string]string{
			"actions-ephemeral-runner": "True", "actions.github.com/scale-set-name": "startup",
		}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			Containers: []corev1.Container{{
				Name: jobContainer, Image: runnerImage, Command: []string{"true"},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("128Mi"),
				}},
			}},
		},
	}
}
