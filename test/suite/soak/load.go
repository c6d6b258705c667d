package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster"
)

// entry is one of the ways to ask for injection, each with an entry of the webhook's configuration.
type entry int

const (
	byLabel entry = iota
	byNamespace
	optionally
)

var entries = []entry{byLabel, byNamespace, optionally}

func (e entry) String() string { return [...]string{"label", "namespace", "optional"}[e] }

func (e entry) namespace() string { return "soak-" + e.String() }

func (e entry) pod() *corev1.Pod {
	pod := localcluster.RunnerPod(e.namespace(), e == byLabel)
	if e == optionally {
		pod.Labels[inject.LabelInject] = inject.InjectOptional
	}
	return pod
}

// load creates pods until it is stopped, and deletes them in the background.
type load struct {
	cancel  context.CancelFunc
	workers sync.WaitGroup
	deleter sync.WaitGroup
	made    chan *corev1.Pod
}

// startLoad starts the clients. Each has a connection of its own and takes the entries in turn.
func (s *soak) startLoad(ctx context.Context) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, made: make(chan *corev1.Pod, 10000)}
	limiter := rate.NewLimiter(rate.Limit(s.settings.rate), 1)
	for i, client := range s.clients {
		l.workers.Go(func() {
			for n := i; limiter.Wait(ctx) == nil; n++ {
				s.create(ctx, client, entries[n%len(entries)], l.made)
			}
		})
	}
	for range 2 {
		l.deleter.Go(func() {
			for pod := range l.made {
				// What is left goes with the cluster.
				_ = s.clients[0].CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
			}
		})
	}
	return l
}

// stop ends the load once every pod under way is created.
func (l *load) stop() {
	l.cancel()
	l.workers.Wait()
	close(l.made)
	l.deleter.Wait()
}

// create creates one pod, again and again while it is refused, as runner controllers do, and counts it in the phase in
// which it began.
func (s *soak) create(ctx context.Context, client *kubernetes.Clientset, e entry, made chan<- *corev1.Pod) {
	phase := s.current.Load()
	began := time.Now()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		var pod corev1.Pod
		// MaxRetries(0): client-go would hide a refusal that says when to come again.
		err := client.CoreV1().RESTClient().Post().Namespace(e.namespace()).Resource("pods").
			VersionedParams(&metav1.CreateOptions{}, scheme.ParameterCodec).Body(e.pod()).MaxRetries(0).Do(ctx).Into(&pod)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			phase.count(e, time.Since(began), &pod)
			made <- &pod
			return
		}
		phase.refuse(e, err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// newClients returns clients that share no connection.
func newClients(cluster *localcluster.Cluster, n int) ([]*kubernetes.Clientset, error) {
	clients := make([]*kubernetes.Clientset, n)
	for i := range clients {
		config, err := cluster.UserConfig(fmt.Sprintf("runner-controller-%d", i), "system:masters")
		if err != nil {
			return nil, err
		}
		if clients[i], err = kubernetes.NewForConfig(config); err != nil {
			return nil, err
		}
	}
	return clients, nil
}

// tally is what happened to the pods of one entry in one phase.
type tally struct {
	injected, missed, refused int
	latencies                 []time.Duration
	// lastTrouble is when a pod was last refused or missed.
	lastTrouble time.Time
	refusal     string
}

// phaseRun is a phase as it went.
type phaseRun struct {
	phase
	began, ended time.Time
	// normal are the times from each disturbance to the last pod that suffered from it.
	normal []time.Duration
	// peak is the most memory of a replica, in bytes, where a phase looks at it, and notes what else it has to tell.
	peak  int64
	notes []string

	mu    sync.Mutex
	tally map[entry]*tally
	given given
}

func newPhaseRun(p phase) *phaseRun {
	r := &phaseRun{phase: p, began: time.Now(), tally: map[entry]*tally{}}
	for _, e := range entries {
		r.tally[e] = &tally{}
	}
	return r
}

func (r *phaseRun) count(e entry, took time.Duration, pod *corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tally[e]
	t.latencies = append(t.latencies, took)
	if pod.Annotations[inject.AnnotationStatus] != "" {
		t.injected++
		r.given.note(pod)
		return
	}
	t.missed++
	t.lastTrouble = time.Now()
}

func (r *phaseRun) refuse(e entry, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tally[e]
	t.refused++
	t.lastTrouble = time.Now()
	t.refusal = err.Error()
	if status, ok := err.(apierrors.APIStatus); ok {
		t.refusal = fmt.Sprintf("%d %s", status.Status().Code, err)
	}
}

// created returns how many pods of the entry that got fewest were created.
func (r *phaseRun) created() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	fewest := math.MaxInt
	for _, t := range r.tally {
		fewest = min(fewest, len(t.latencies))
	}
	return fewest
}

// lastTrouble returns when a pod of any entry last suffered.
func (r *phaseRun) lastTrouble() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last time.Time
	for _, t := range r.tally {
		if t.lastTrouble.After(last) {
			last = t.lastTrouble
		}
	}
	return last
}

// current is the phase that pods created now belong to.
type current = atomic.Pointer[phaseRun]
