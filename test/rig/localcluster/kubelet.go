package localcluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// Kubelet runs the pods of our image that are bound to its nodes, as processes. Pods of other images stay Pending, and
// are deleted when that is asked for.
type Kubelet struct {
	cluster *Cluster
	binary  string
	// folder holds a folder for each pod.
	folder string

	mu   sync.Mutex
	pods map[types.UID]*pod
}

func startKubelet(ctx context.Context, c *Cluster, binary string) (*Kubelet, error) {
	folder, err := c.Folder("pods")
	if err != nil {
		return nil, err
	}
	k := &Kubelet{cluster: c, binary: binary, folder: folder, pods: map[types.UID]*pod{}}
	if err := k.serveLogs(ctx); err != nil {
		return nil, err
	}
	if err := registerNodes(ctx, c.clientset, c.network); err != nil {
		return nil, err
	}
	bound := informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	})
	factory := informers.NewSharedInformerFactoryWithOptions(c.clientset, 0, bound)
	informer := factory.Core().V1().Pods().Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
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
		return nil, err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, context.Cause(ctx)
	}
	return k, nil
}

// sync starts a pod that is new, and ends one whose deletion was asked for.
func (k *Kubelet) sync(ctx context.Context, object *corev1.Pod) {
	if !isOurs(object) {
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

// isOurs says whether a pod runs our image, which is all that is here to be run.
func isOurs(pod *corev1.Pod) bool {
	containers := append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...)
	for _, c := range containers {
		if !strings.HasPrefix(c.Image, ImageRegistry+"/"+ImageRepository+":") {
			return false
		}
	}
	return true
}

// remove deletes a pod's object, as a kubelet does once nothing of the pod runs any more.
func (k *Kubelet) remove(ctx context.Context, object *corev1.Pod) {
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), Preconditions: metav1.NewUIDPreconditions(string(object.UID))}
	_ = retry(ctx, func() error {
		return ignoreGone(k.cluster.clientset.CoreV1().Pods(object.Namespace).Delete(ctx, object.Name, now))
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
	return p.process.cmd.Process.Pid, nil
}

// Logs returns what the process of a pod, its restarts included, has printed so far.
func (k *Kubelet) Logs(namespace, name string) (string, error) {
	text, err := os.ReadFile(k.logFile(namespace, name))
	return string(text), err
}

// WebhookAddress returns where the process of a webhook's pod serves admission reviews.
func (c *Cluster) WebhookAddress(pod *corev1.Pod) string {
	return address(loopback(pod.Status.PodIP), c.network.webhook)
}
