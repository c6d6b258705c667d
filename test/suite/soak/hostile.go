package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster"
)

// hostileNamespace belongs to a tenant who wants others to suffer.
const hostileNamespace = "soak-hostile"

// hostileRate is how often a second each of the tenant's tricks is played. More would measure the API server, which shares the
// machine's cores, and not the webhook.
const hostileRate = 20

// hostileTenant does everything that a tenant can do to the webhook at once: a policy that makes large answers of small pods, node
// selections that are long to compare, pods as large as the API server takes, many LimitRanges, and requests of its own to the
// webhook's address, as any pod of the cluster can send them.
func (s *soak) hostileTenant(ctx context.Context, run *phaseRun) error {
	if err := s.prepareHostile(ctx); err != nil {
		return err
	}
	replicas, err := s.cluster.Replicas(ctx)
	if err != nil {
		return err
	}
	tricks := &tricks{answers: map[string]int{}}
	for name, pod := range hostilePods() {
		clients, err := newClients(s.cluster, 1)
		if err != nil {
			return err
		}
		tricks.add("pod with "+name, func(ctx context.Context, _ int) (string, error) { return createHostile(ctx, clients[0], pod) })
	}
	for name, body := range hostileBodies() {
		post := poster(s.cluster.WebhookAddress(&replicas[0]))
		tricks.add("posts "+name, func(ctx context.Context, n int) (string, error) { return post(ctx, body(n)) })
	}
	tricks.play(ctx, s.settings.hostile)
	for _, replica := range replicas {
		peak, err := s.peakMemory(&replica)
		if err != nil {
			return err
		}
		run.peak = max(run.peak, peak)
	}
	run.notes = tricks.report()
	return errors.Join(tricks.failed, ctx.Err())
}

// prepareHostile makes the namespace with the largest policy that validation accepts, and LimitRanges.
func (s *soak) prepareHostile(ctx context.Context) error {
	if err := s.cluster.CreateNamespace(ctx, hostileNamespace, map[string]string{inject.LabelInject: "true"}, nil); err != nil &&
		!apierrors.IsAlreadyExists(err) {
		return err
	}
	requirements := make([]string, 35)
	for i := range requirements {
		requirements[i] = "{key: zone, operator: NotIn, values: [" + strings.TrimSuffix(strings.Repeat("n"+strconv.Itoa(i)+",", 200), ",") + "]}"
	}
	policy := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: hostileNamespace, Name: config.ConfigMapName},
		Data: map[string]string{
			"policy.yaml": "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\nenv: [{name: LARGE, value: '" +
				strings.Repeat("x", 30000) + "'}]\n" +
				"scheduling: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [" +
				strings.Join(requirements, ", ") + "]}]}}}\n",
		}}
	if err := s.cluster.Client().Create(ctx, policy); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	for i := range 60 {
		limits := &corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Namespace: hostileNamespace, Name: fmt.Sprintf("limits-%d", i)},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(strconv.Itoa(i + 1))},
			}}},
		}
		if err := s.cluster.Client().Create(ctx, limits); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// hostilePods are pods that cost much more than they look like.
func hostilePods() map[string]*corev1.Pod {
	pods := map[string]*corev1.Pod{}
	for name, containers := range map[string]int{"30 containers": 30, "256 containers": 256} {
		pod := localcluster.RunnerPod(hostileNamespace, true)
		pod.Labels = map[string]string{inject.LabelInject: "true"}
		pod.Spec.Containers = nil
		for i := range containers {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "i"})
		}
		pods[name] = pod
	}
	long := localcluster.RunnerPod(hostileNamespace, true)
	r := corev1.NodeSelectorRequirement{Key: "zone", Operator: corev1.NodeSelectorOpNotIn}
	for i := range 100_000 {
		r.Values = append(r.Values, fmt.Sprintf("v%d", i))
	}
	required := corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{r}}}}
	long.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &required}}
	pods["a long node selection"] = long
	return pods
}

// createHostile creates a pod without keeping it, and returns how that ended.
func createHostile(ctx context.Context, client *kubernetes.Clientset, pod *corev1.Pod) (string, error) {
	_, err := client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err == nil {
		return "created", nil
	}
	if refused, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return fmt.Sprintf("%d %s", refused.Status().Code, refused.Status().Reason), nil
	}
	return "", err
}

// hostileBodies are admission reviews that no API server would send.
func hostileBodies() map[string]func(n int) string {
	review := func(namespace, pod string) string {
		return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","kind":{"group":"","version":"v1","kind":"Pod"},` +
			`"namespace":"` + namespace + `","operation":"CREATE","object":` + pod + `}}`
	}
	const asking = `{"metadata":{"labels":{"dagger.io/inject":"true"}},"spec":{"containers":[`
	large := review("nowhere", asking+`{"name":"a","image":"`+strings.Repeat("i", 6<<20)+`"}]}}`)
	return map[string]func(int) string{
		"of namespaces that do not exist": func(n int) string { return review(fmt.Sprintf("nowhere-%d", n), asking+"]}}") },
		"of many empty containers":        func(int) string { return review(hostileNamespace, asking+strings.Repeat("{},", 255)+"{}]}}") },
		"of 6 MiB":                        func(int) string { return large },
	}
}

// poster returns a function that posts a review to the webhook, and returns the status of the answer.
func poster(address string) func(context.Context, string) (string, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		// Who attacks does not care whom they attack.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec
	}}
	return func(ctx context.Context, body string) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+registration.PathPod, bytes.NewReader([]byte(body)))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return "cut off", nil
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.Copy(io.Discard, resp.Body)
		return strconv.Itoa(resp.StatusCode), err
	}
}

// tricks are what the tenant does, each by itself and all at once.
type tricks struct {
	running []func(context.Context)
	mu      sync.Mutex
	answers map[string]int
	failed  error
}

// add adds a trick, which returns how it ended.
func (t *tricks) add(name string, act func(ctx context.Context, n int) (string, error)) {
	t.running = append(t.running, func(ctx context.Context) {
		limiter := rate.NewLimiter(hostileRate, 1)
		var wg sync.WaitGroup
		for worker := range 2 {
			wg.Go(func() {
				for n := worker; limiter.Wait(ctx) == nil; n += 2 {
					how, err := act(ctx, n)
					if ctx.Err() != nil {
						return
					}
					t.count(name+": "+how, err)
				}
			})
		}
		wg.Wait()
	})
}

func (t *tricks) count(answer string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[answer]++
	t.failed = errors.Join(t.failed, err)
}

// play plays all tricks for a while.
func (t *tricks) play(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	for _, trick := range t.running {
		wg.Go(func() { trick(ctx) })
	}
	wg.Wait()
}

// report says how often each trick ended how.
func (t *tricks) report() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for _, answer := range slices.Sorted(maps.Keys(t.answers)) {
		lines = append(lines, fmt.Sprintf("%s, %d times", answer, t.answers[answer]))
	}
	return lines
}

// peakMemory returns the most memory that a replica's process had at any time, in bytes, pages of its file included.
func (s *soak) peakMemory(replica *corev1.Pod) (int64, error) {
	pid, err := s.cluster.Kubelet.PID(replica.Namespace, replica.Name)
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM", pid)
}
