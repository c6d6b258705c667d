package kubelet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/process"
)

// pod is the kubelet's worker for one pod. Only run uses its fields, except for those below mu.
type pod struct {
	kubelet *Kubelet
	object  *corev1.Pod
	folder  string
	ip      string
	status  corev1.PodStatus

	// deleted is closed when the pod must end, within grace; killed when its object is gone.
	deleted, killed chan struct{}

	mu      sync.Mutex
	grace   time.Duration
	process *process.Process
}

func newPod(k *Kubelet, object *corev1.Pod) *pod {
	ip := k.opts.NewPodIP()
	p := &pod{
		kubelet: k, object: object, ip: ip,
		folder:  filepath.Join(k.opts.Folder, object.Namespace+"_"+object.Name),
		deleted: make(chan struct{}), killed: make(chan struct{}),
	}
	p.initStatus()
	return p
}

// logFile is beside the pod's folder, and stays when the pod goes.
func (k *Kubelet) logFile(namespace, name string) string {
	return filepath.Join(k.opts.Folder, namespace+"_"+name+".log")
}

// delete makes the pod end within a grace period. Only the first call counts.
func (p *pod) delete(grace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.deleted:
	default:
		p.grace = grace
		close(p.deleted)
	}
}

// kill ends the pod at once.
func (p *pod) kill() {
	p.delete(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.killed:
	default:
		close(p.killed)
	}
}

func (p *pod) isDeleted() bool {
	select {
	case <-p.deleted:
		return true
	default:
		return false
	}
}

// signal sends a signal to the process that runs now.
func (p *pod) signal(s os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return fmt.Errorf("the pod %s/%s has no process", p.object.Namespace, p.object.Name)
	}
	return p.process.Signal(s)
}

// run runs the pod until its end, and removes its object once it is deleted.
func (p *pod) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.prepareAndRun(ctx); err != nil && ctx.Err() == nil && !p.isDeleted() {
		p.fail(ctx, err)
	}
	select {
	case <-p.deleted:
	case <-ctx.Done():
		return
	}
	p.kubelet.remove(ctx, p.object)
	if err := os.RemoveAll(p.folder); err != nil {
		_, _ = fmt.Fprintln(p.kubelet.opts.Output, "removing the pod's folder:", err)
	}
}

func (p *pod) prepareAndRun(ctx context.Context) error {
	if len(p.object.Spec.Containers) != 1 || len(p.object.Spec.InitContainers) != 0 {
		return errors.New("this kubelet runs pods of one container")
	}
	if err := os.Mkdir(p.folder, 0o700); err != nil {
		return err
	}
	// A restart of the pod's sandbox never happens: the address and the files stay the same.
	volumes := newVolumes(p)
	if err := p.mount(ctx, volumes); err != nil {
		return err
	}
	go volumes.keep(ctx)
	command, err := newCommand(ctx, p, volumes)
	if err != nil {
		return err
	}
	return p.runContainer(ctx, command)
}

// mount waits until every volume can be mounted; a kubelet tries again after half a second, and ever less often.
func (p *pod) mount(ctx context.Context, volumes *volumes) error {
	pause := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Steps: 9, Cap: 2 * time.Minute}
	for {
		err := volumes.update(ctx)
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
		p.waiting(ctx, "ContainerCreating", err.Error())
		select {
		case <-time.After(pause.Step()):
		case <-p.deleted:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// retry calls the API until it answers without an error, or the context ends.
func retry(ctx context.Context, call func() error) error {
	return wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(context.Context) (bool, error) { return call() == nil, nil })
}

// IgnoreGone returns nil if the object of a call no longer exists, or another one has taken its name.
func IgnoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
