package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster"
	"github.com/dagger-inject/dagger-inject/test/rig/poll"
)

// roll restarts all replicas, as "kubectl rollout restart" does, until enough pods were created meanwhile.
func (s *soak) roll(ctx context.Context, run *phaseRun) error {
	for n := 0; n < s.settings.rounds || run.created() < s.settings.rolling; n++ {
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`,
			time.Now().Format(time.RFC3339Nano))
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: localcluster.ReleaseNamespace,
			Name: localcluster.ReleaseNamespace}}
		if err := s.cluster.Client().Patch(ctx, deployment,
			client.RawPatch("application/strategic-merge-patch+json", []byte(patch))); err != nil {
			return err
		}
		if err := s.waitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// waitReady waits until the Deployment is rolled out: every replica is new and ready, and the old ones are gone.
func (s *soak) waitReady(ctx context.Context) error {
	return poll.Until(ctx, "the Deployment is rolled out", 100*time.Millisecond, 3*time.Minute, func(ctx context.Context) error {
		var d appsv1.Deployment
		if err := s.cluster.Client().Get(ctx, client.ObjectKey{Namespace: localcluster.ReleaseNamespace, Name: localcluster.ReleaseNamespace},
			&d); err != nil {
			return poll.Fatal(err)
		}
		wanted, status := *d.Spec.Replicas, d.Status
		if status.ObservedGeneration < d.Generation || status.UpdatedReplicas != wanted || status.ReadyReplicas != wanted ||
			status.Replicas != wanted {
			return fmt.Errorf("of %d replicas %d are new and %d are ready", status.Replicas, status.UpdatedReplicas, status.ReadyReplicas)
		}
		var pods corev1.PodList
		if err := s.cluster.Client().List(ctx, &pods, client.InNamespace(localcluster.ReleaseNamespace),
			client.MatchingLabels(d.Spec.Selector.MatchLabels)); err != nil {
			return poll.Fatal(err)
		}
		if len(pods.Items) != int(wanted) {
			return fmt.Errorf("there are %d pods", len(pods.Items))
		}
		return nil
	})
}

// killReplica kills a replica's process; the kubelet starts it again.
func (s *soak) killReplica(ctx context.Context, run *phaseRun) error {
	return s.disturb(ctx, run, func(pod *corev1.Pod) (func() error, error) {
		return func() error { return nil }, s.cluster.Kubelet.Signal(pod.Namespace, pod.Name, syscall.SIGKILL)
	})
}

// freezeReplica stops a replica's process, which keeps its connections and answers nothing, and lets it go on later.
func (s *soak) freezeReplica(ctx context.Context, run *phaseRun) error {
	return s.disturb(ctx, run, func(pod *corev1.Pod) (func() error, error) {
		thaw := func() error { return s.cluster.Kubelet.Signal(pod.Namespace, pod.Name, syscall.SIGCONT) }
		return thaw, s.cluster.Kubelet.Signal(pod.Namespace, pod.Name, syscall.SIGSTOP)
	})
}

// busiest returns the replica to which the API server keeps most connections: to hurt another one would prove little.
func (s *soak) busiest(ctx context.Context) (*corev1.Pod, error) {
	replicas, err := s.cluster.Replicas(ctx)
	if err != nil || len(replicas) == 0 {
		return nil, errors.Join(err, errors.New("there is no replica"))
	}
	pod := slices.MaxFunc(replicas, func(a, b corev1.Pod) int {
		return s.cluster.Connections(&a) - s.cluster.Connections(&b)
	})
	return &pod, nil
}

// disturb does something to the busiest replica, some times, and notes how long pods suffered from it each time.
func (s *soak) disturb(ctx context.Context, run *phaseRun, act func(*corev1.Pod) (undo func() error, err error)) error {
	for range s.settings.rounds {
		replica, err := s.busiest(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		undo, err := act(replica)
		if err != nil {
			return err
		}
		// Longer than it takes until the probes fail and everybody has heard of it, shorter than a liveness probe's patience.
		if err := pause(ctx, 15*time.Second); err != nil {
			return err
		}
		if err := undo(); err != nil {
			return err
		}
		if err := s.waitReady(ctx); err != nil {
			return err
		}
		if err := pause(ctx, s.settings.calm/4); err != nil {
			return err
		}
		run.normal = append(run.normal, max(0, run.lastTrouble().Sub(began)))
	}
	return nil
}

// renewCertificates renews the serving certificate, the CA, and the serving certificate under the new CA.
func (s *soak) renewCertificates(ctx context.Context, _ *phaseRun) error {
	for range s.settings.rounds {
		for _, certificate := range []string{"dagger-inject", "dagger-inject-ca", "dagger-inject"} {
			if err := s.cluster.Renew(ctx, localcluster.ReleaseNamespace, certificate); err != nil {
				return err
			}
			if err := pause(ctx, s.settings.calm/4); err != nil {
				return err
			}
		}
	}
	return nil
}

// editPolicies changes the cluster's policy, and makes and removes one of a namespace.
func (s *soak) editPolicies(ctx context.Context, _ *phaseRun) error {
	const head = "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n"
	for n := range 10 * s.settings.rounds {
		before, err := s.applyPolicy(ctx, func(text string) string { return text + fmt.Sprintf("\nenv: [{name: EDIT, value: \"%d\"}]\n", n) })
		if err != nil {
			return err
		}
		own := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: byLabel.namespace(), Name: config.ConfigMapName}}
		own.Data = map[string]string{"policy.yaml": head + "env: [{name: OWN, value: \"yes\"}]\n"}
		if err := s.cluster.Client().Create(ctx, own); err != nil {
			return err
		}
		if err := pause(ctx, s.settings.calm/20); err != nil {
			return err
		}
		if err := s.cluster.Client().Delete(ctx, own); err != nil {
			return err
		}
		if _, err := s.applyPolicy(ctx, func(string) string { return before }); err != nil {
			return err
		}
	}
	return nil
}

// applyPolicy changes the cluster's policy as Helm would, which else would not overwrite it later, and returns what it was.
func (s *soak) applyPolicy(ctx context.Context, edit func(string) string) (before string, err error) {
	var policy corev1.ConfigMap
	if err := s.cluster.Client().Get(ctx, client.ObjectKey{Namespace: localcluster.ReleaseNamespace, Name: config.ConfigMapName},
		&policy); err != nil {
		return "", err
	}
	before = policy.Data["policy.yaml"]
	wanted := applycorev1.ConfigMap(policy.Name, policy.Namespace).WithLabels(policy.Labels).WithAnnotations(policy.Annotations).
		WithData(policy.Data).WithData(map[string]string{"policy.yaml": edit(before)})
	return before, s.cluster.Client().Apply(ctx, wanted, client.FieldOwner("helm"), client.ForceOwnership)
}

// upgradeAndRollBack upgrades to a chart whose policy has a field that this program does not know, as when the chart
// of a later release is installed and its replicas come one by one, and rolls back.
func (s *soak) upgradeAndRollBack(ctx context.Context, _ *phaseRun) error {
	next := filepath.Join(s.folder, "next")
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	if err := os.CopyFS(next, os.DirFS(chartDir())); err != nil {
		return err
	}
	template := filepath.Join(next, "templates", "policy.yaml")
	text, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	stamped := strings.Replace(string(text), fmt.Sprintf(`%q "%d"`, config.AnnotationSchemaRevision, config.SchemaRevision),
		fmt.Sprintf(`%q "%d"`, config.AnnotationSchemaRevision, config.SchemaRevision+1), 1)
	if stamped == string(text) {
		return fmt.Errorf("%s has no stamp %s with revision %d", template, config.AnnotationSchemaRevision, config.SchemaRevision)
	}
	if err := os.WriteFile(template, []byte(stamped), 0o600); err != nil {
		return err
	}
	for range s.settings.rounds {
		// Another tag, so that the replicas are replaced.
		if err := s.helm(ctx, "upgrade", next, "--skip-schema-validation", "--set", "policy.cli.fieldOfTheNextRelease=true", "--set",
			"image.tag=next"); err != nil {
			return err
		}
		if err := s.waitReady(ctx); err != nil {
			return err
		}
		if _, err := s.cluster.Helm(ctx, "rollback", localcluster.ReleaseNamespace, "--namespace", localcluster.ReleaseNamespace, "--wait",
			"--timeout", "3m"); err != nil {
			return err
		}
		if err := s.waitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}
