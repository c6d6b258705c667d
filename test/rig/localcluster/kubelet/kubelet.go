// Package kubelet runs the pods of one image as processes of this machine, for the nodes of a cluster.
//
// It does what tests of a webhook need of a kubelet: probes, restarts, graceful ends, volumes that follow their Secrets and
// ConfigMaps, logs, and a service account's token. It runs no init containers, and no pod of more than one container.
package kubelet

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// Options says what a kubelet runs, and for which nodes. All fields are required.
type Options struct {
	Client kubernetes.Interface
	// Config is how the API server is reached, without the credentials of a pod.
	Config *rest.Config
	// Kubeconfig writes a kubeconfig file and returns its path.
	Kubeconfig func(*rest.Config) (string, error)
	// Launcher returns the path of a program that runs a binary under a name.
	Launcher func(name, binary string) (string, error)
	// Folder holds a folder and a log for each pod.
	Folder string
	// Image is the image that the kubelet runs, without a tag, and Binary is the program that stands for it.
	Image, Binary string
	Nodes         []Node
	// Port is where each node's kubelet serves its API.
	Port int32
	// NewPodIP returns an address that no pod has had.
	NewPodIP func() string
	// Output receives what goes wrong when a pod is removed.
	Output io.Writer
}

// Kubelet runs the pods of its image that are bound to its nodes. Pods of other images stay Pending, and are removed once
// they are deleted.
type Kubelet struct {
	opts Options

	mu   sync.Mutex
	pods map[types.UID]*pod
}

// Start registers the nodes and runs their pods until the context ends.
func Start(ctx context.Context, opts Options) (*Kubelet, error) {
	k := &Kubelet{opts: opts, pods: map[types.UID]*pod{}}
	if err := k.serveLogs(ctx); err != nil {
		return nil, err
	}
	if err := registerNodes(ctx, opts.Client, opts.Nodes, opts.Port); err != nil {
		return nil, err
	}
	return k, k.watchPods(ctx)
}

// watchPods follows the pods that are bound to a node, and returns once the first list has arrived.
func (k *Kubelet) watchPods(ctx context.Context) error {
	bound := informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	})
	factory := informers.NewSharedInformerFactoryWithOptions(k.opts.Client, 0, bound)
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.sync(ctx, o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { k.sync(ctx, o.(*corev1.Pod)) },
		DeleteFunc: func(o any) {
			if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if p := k.find(o.(*corev1.Pod).UID); p != nil {
				p.kill()
			}
		},
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return context.Cause(ctx)
	}
	return nil
}

// sync starts a pod that is new, and ends one that is being deleted.
func (k *Kubelet) sync(ctx context.Context, object *corev1.Pod) {
	if !k.runs(object) {
		if object.DeletionTimestamp != nil {
			go k.remove(ctx, object)
		}
		return
	}
	k.mu.Lock()
	p := k.pods[object.UID]
	if p == nil {
		p = newPod(k, object)
		k.pods[object.UID] = p
		go func() {
			p.run(ctx)
			k.mu.Lock()
			defer k.mu.Unlock()
			delete(k.pods, object.UID)
		}()
	}
	k.mu.Unlock()
	if object.DeletionTimestamp != nil {
		p.delete(time.Duration(ptr.Deref(object.DeletionGracePeriodSeconds, 0)) * time.Second)
	}
}

// runs says whether every container of a pod has the kubelet's image.
func (k *Kubelet) runs(pod *corev1.Pod) bool {
	containers := append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...)
	for _, c := range containers {
		if !strings.HasPrefix(c.Image, k.opts.Image+":") {
			return false
		}
	}
	return true
}

// remove deletes a pod's object, as a kubelet does once nothing of the pod runs any more.
func (k *Kubelet) remove(ctx context.Context, object *corev1.Pod) {
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), Preconditions: metav1.NewUIDPreconditions(string(object.UID))}
	_ = retry(ctx, func() error {
		return IgnoreGone(k.opts.Client.CoreV1().Pods(object.Namespace).Delete(ctx, object.Name, now))
	})
}

func (k *Kubelet) find(uid types.UID) *pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pods[uid]
}

// byName returns a pod that is running here.
func (k *Kubelet) byName(namespace, name string) (*pod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pods {
		if p.object.Namespace == namespace && p.object.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no process runs for the pod %s/%s", namespace, name)
}

// Signal sends a signal to the process of a pod.
func (k *Kubelet) Signal(namespace, name string, s os.Signal) error {
	p, err := k.byName(namespace, name)
	if err != nil {
		return err
	}
	return p.signal(s)
}

// PID returns the process of a pod's container.
func (k *Kubelet) PID(namespace, name string) (int, error) {
	p, err := k.byName(namespace, name)
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return 0, fmt.Errorf("the pod %s/%s has no process", namespace, name)
	}
	return p.process.PID(), nil
}

// Logs returns what the process of a pod, its restarts included, has printed so far.
func (k *Kubelet) Logs(namespace, name string) (string, error) {
	text, err := os.ReadFile(k.logFile(namespace, name))
	return string(text), err
}
