package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/controlplane"
	"github.com/dagger-inject/dagger-inject/test/rig/tools"
)

// podFiles are those of the four runner pods, in test/suite/bench/record/pods.
var podFiles = []string{"gha-none-labelled", "gha-dind", "gitlab-default", "gitlab-services"}

// readPods returns the runner pods as they are sent: all ask for injection.
func readPods(ctx context.Context) ([][]byte, error) {
	root, err := tools.Root(ctx)
	if err != nil {
		return nil, err
	}
	var pods [][]byte
	for _, name := range podFiles {
		text, err := os.ReadFile(filepath.Join(root, "test", "suite", "bench", "record", "pods", name+".yaml"))
		if err != nil {
			return nil, err
		}
		pod := &corev1.Pod{}
		if err := yaml.UnmarshalStrict(text, pod); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pod.APIVersion, pod.Kind, pod.Namespace = "v1", "Pod", ""
		pod.Labels[inject.LabelInject] = inject.InjectTrue
		pod.Spec.ServiceAccountName = ""
		body, err := json.Marshal(pod)
		if err != nil {
			return nil, err
		}
		pods = append(pods, body)
	}
	return pods, nil
}

// creator creates pods, with nothing stored.
type creator struct {
	client *http.Client
	host   string
	pods   [][]byte
	stat   string // the folder of the API server's threads
}

func newCreator(cp *controlplane.ControlPlane, pods [][]byte) (*creator, error) {
	client, err := rest.HTTPClientFor(cp.Config())
	if err != nil {
		return nil, err
	}
	pid, err := os.ReadFile(filepath.Join(filepath.Dir(cp.AuditLog()), "kube-apiserver.pid"))
	if err != nil {
		return nil, err
	}
	return &creator{client: client, host: strings.TrimRight(cp.Config().Host, "/"), pods: pods,
		stat: filepath.Join("/proc", string(bytes.TrimSpace(pid)), "task")}, nil
}

// create creates one of the pods in the namespace of a variant, and returns what the API server made of it.
func (c *creator) create(ctx context.Context, variant string, pod int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.host+"/api/v1/namespaces/"+namespaceOf(variant)+"/pods?dryRun=All",
		bytes.NewReader(c.pods[pod%len(c.pods)]))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s: %.500s", variant, response.Status, text)
	}
	return text, err
}

// burst is what a number of creations took.
type burst struct {
	latencies []time.Duration
	// each is the time per creation, and cpu the API server's, on all cores.
	each, cpu time.Duration
	// calls is how often the API server called a webhook, per creation.
	calls float64
}

// burst creates n pods with some clients at one time.
func (c *creator) burst(ctx context.Context, variant string, clients, n int) (burst, error) {
	var (
		next    atomic.Int64
		workers sync.WaitGroup
		mu      sync.Mutex
		b       burst
		failed  error
	)
	called, err := c.calls(ctx)
	if err != nil {
		return b, err
	}
	before, err := c.cpu()
	if err != nil {
		return b, err
	}
	began := time.Now()
	for range clients {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				sent := time.Now()
				_, err := c.create(ctx, variant, i)
				took := time.Since(sent)
				mu.Lock()
				b.latencies = append(b.latencies, took)
				failed = firstError(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	b.each = time.Since(began) / time.Duration(n)
	after, err := c.cpu()
	b.cpu = (after - before) / time.Duration(n)
	if failed = firstError(failed, err); failed != nil {
		return b, failed
	}
	now, err := c.calls(ctx)
	b.calls = (now - called) / float64(n)
	return b, err
}

// calls returns how often the API server has called a mutating webhook.
func (c *creator) calls(ctx context.Context) (float64, error) {
	var metrics bytes.Buffer
	if err := c.download(ctx, "/metrics", &metrics); err != nil {
		return 0, err
	}
	sum := 0.0
	for line := range strings.Lines(metrics.String()) {
		if strings.HasPrefix(line, "apiserver_admission_webhook_request_total{") {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]), 64)
			if err != nil {
				return 0, fmt.Errorf("%q: %w", line, err)
			}
			sum += value
		}
	}
	return sum, nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// cpu returns the CPU time of the API server's threads so far. The kernel has it in nanoseconds for each.
func (c *creator) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(filepath.Join(c.stat, "*", "schedstat"))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("no thread of the API server in %s: %w", c.stat, err)
	}
	var sum time.Duration
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		ran, _, _ := strings.Cut(string(text), " ")
		nanos, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += time.Duration(nanos)
	}
	return sum, nil
}

// verify makes sure that what is compared is the same: what is in the pods of those that inject.
func (c *creator) verify(ctx context.Context) error {
	for pod := range c.pods {
		found := map[string][]string{}
		for _, variant := range variants {
			text, err := c.create(ctx, variant, pod)
			if err != nil {
				return err
			}
			if found[variant], err = contents(text); err != nil {
				return err
			}
		}
		for _, variant := range []string{variantPolicy, variantTyped} {
			if !slices.Equal(found[variantOurs], found[variant]) {
				return fmt.Errorf("%s: the pods differ, so that their costs cannot be compared:\n%s: %v\n%s: %v",
					podFiles[pod], variantOurs, found[variantOurs], variant, found[variant])
			}
		}
		if !slices.Equal(found[variantNone], found[variantNothing]) || len(found[variantOurs]) <= len(found[variantNone]) {
			return fmt.Errorf("%s: not injected where it should be, or the other way: %v", podFiles[pod], found)
		}
	}
	return nil
}

// contents lists what injection is about.
func contents(text []byte) ([]string, error) {
	pod := &corev1.Pod{}
	if err := json.Unmarshal(text, pod); err != nil {
		return nil, err
	}
	list := []string{}
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range containers {
			add("container %s %s %v %v %v", c.Name, c.Image, c.Command, c.Args, c.SecurityContext)
			for _, e := range c.Env {
				add("env %s %s", c.Name, e.Name+"="+e.Value)
			}
			for _, m := range c.VolumeMounts {
				if !strings.HasPrefix(m.Name, "kube-api-access-") { // a new name for each pod
					add("mount %s %v", c.Name, m)
				}
			}
		}
	}
	for _, v := range pod.Spec.Volumes {
		if !strings.HasPrefix(v.Name, "kube-api-access-") {
			add("volume %s %s", v.Name, v.String())
		}
	}
	add("groups %v", pod.Spec.SecurityContext.SupplementalGroups)
	for name := range pod.Annotations {
		add("annotation %s", name)
	}
	slices.Sort(list)
	return list, nil
}
