package kubelet

import (
	"context"
	"os"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/process"
)

// runContainer runs the container, again as often as the restart policy says, until the pod is deleted or done.
func (p *pod) runContainer(ctx context.Context, command *command) error {
	// As for a kubelet, the first restart follows the next look at the processes, and the others a back-off. A container that
	// ran for ten minutes resets the back-off.
	const relist, firstBackoff, maxBackoff, reset = time.Second, 10 * time.Second, 5 * time.Minute, 10 * time.Minute
	pause := relist
	for !p.isDeleted() {
		began := time.Now()
		if err := p.start(command); err != nil {
			return err
		}
		p.status.Phase = corev1.PodRunning
		p.status.PodIP, p.status.PodIPs = p.ip, []corev1.PodIP{{IP: p.ip}}
		p.container().Started = ptr.To(true)
		p.container().State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(began)}}
		p.ready(command.container.ReadinessProbe == nil)
		p.report(ctx)

		p.supervise(ctx, command.container)
		code := p.ended(began)
		if p.done(code) {
			p.report(ctx)
			return nil
		}
		p.report(ctx)
		if time.Since(began) > reset {
			pause = relist
		}
		select {
		case <-time.After(pause):
		case <-p.deleted:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.container().RestartCount++
		pause = min(max(2*pause, firstBackoff), maxBackoff)
	}
	return nil
}

func (p *pod) start(command *command) error {
	started, err := process.Start(command.launcher, p.kubelet.logFile(p.object.Namespace, p.object.Name), command.env, command.args...)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = started
	return nil
}

// signalRunning sends a signal to the process, which ignores it if it has just ended: supervise sees that by itself.
func (p *pod) signalRunning(s os.Signal) { _ = p.process.Signal(s) }

// supervise returns when the process has ended. Meanwhile it probes the process, and ends it if the pod is deleted or a
// liveness probe fails: preStop, SIGTERM, and, once the grace period is over, SIGKILL.
func (p *pod) supervise(ctx context.Context, container *corev1.Container) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	readiness, liveness := p.startProbes(ctx, container)
	var terminate, kill <-chan time.Time
	end := func(grace time.Duration) {
		if kill == nil {
			kill, terminate = time.After(grace), time.After(preStop(container))
		}
	}
	deleted := p.deleted
	for {
		select {
		case <-p.process.Done():
			return
		case ready := <-readiness:
			p.ready(ready)
			p.report(ctx)
		case alive := <-liveness:
			if !alive {
				end(time.Duration(ptr.Deref(p.object.Spec.TerminationGracePeriodSeconds, 30)) * time.Second)
			}
		case <-deleted:
			deleted = nil
			end(p.grace)
		case <-terminate:
			p.signalRunning(syscall.SIGTERM)
		case <-kill:
			p.signalRunning(os.Kill)
		case <-p.killed:
			p.signalRunning(os.Kill)
			<-p.process.Done()
			return
		case <-ctx.Done():
			p.signalRunning(os.Kill)
			<-p.process.Done()
			return
		}
	}
}

// preStop is how long the container's preStop hook takes.
func preStop(container *corev1.Container) time.Duration {
	if l := container.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
		return time.Duration(l.PreStop.Sleep.Seconds) * time.Second
	}
	return 0
}

// ended records how the process ended and returns its exit code.
func (p *pod) ended(began time.Time) int32 {
	p.mu.Lock()
	finished := p.process
	p.process = nil
	p.mu.Unlock()
	state := &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(began), FinishedAt: metav1.Now(), Reason: "Completed"}
	status := finished.Status()
	state.ExitCode = int32(status.ExitStatus())
	if status.Signaled() {
		state.ExitCode, state.Signal = 128+int32(status.Signal()), int32(status.Signal())
	}
	if state.ExitCode != 0 {
		state.Reason = "Error"
		if p.object.Spec.Containers[0].TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
			// A kubelet takes the last 2,048 bytes of the log.
			log := finished.Output()
			state.Message = log[max(0, len(log)-2048):]
		}
	}
	p.container().Started = ptr.To(false)
	p.container().State = corev1.ContainerState{Terminated: state}
	p.container().LastTerminationState = p.container().State
	p.ready(false)
	return state.ExitCode
}

// done reports whether the container is not restarted, and then sets the pod's phase.
func (p *pod) done(code int32) bool {
	policy := p.object.Spec.RestartPolicy
	if !p.isDeleted() && (policy == corev1.RestartPolicyAlways || policy == corev1.RestartPolicyOnFailure && code != 0) {
		return false
	}
	p.status.Phase = corev1.PodSucceeded
	if code != 0 {
		p.status.Phase = corev1.PodFailed
	}
	return true
}
