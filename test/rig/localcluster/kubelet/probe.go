package kubelet

import (
	"context"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// startProbes probes a container until the context ends: at once, and then every period. The channels report changes; the
// channel of a probe that the container does not have is nil. The others start after a startup probe has succeeded.
func (p *pod) startProbes(ctx context.Context, container *corev1.Container) (readiness, liveness <-chan bool) {
	started := make(chan struct{})
	if probe := container.StartupProbe; probe != nil {
		go func() {
			changes := make(chan bool)
			go p.probe(ctx, container, probe, false, changes)
			select {
			case <-changes:
				close(started)
			case <-ctx.Done():
			}
		}()
	} else {
		close(started)
	}
	start := func(probe *corev1.Probe, initially bool) <-chan bool {
		if probe == nil {
			return nil
		}
		changes := make(chan bool)
		go func() {
			select {
			case <-started:
				p.probe(ctx, container, probe, initially, changes)
			case <-ctx.Done():
			}
		}()
		return changes
	}
	return start(container.ReadinessProbe, false), start(container.LivenessProbe, true)
}

// probe runs one probe and reports each change of its verdict, which is value at first.
func (p *pod) probe(ctx context.Context, container *corev1.Container, probe *corev1.Probe, value bool, changes chan<- bool) {
	select {
	case <-time.After(time.Duration(probe.InitialDelaySeconds) * time.Second):
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(time.Duration(probe.PeriodSeconds) * time.Second)
	defer tick.Stop()
	contrary := int32(0)
	for {
		if p.try(ctx, container, probe) == value {
			contrary = 0
		} else {
			contrary++
		}
		threshold := probe.SuccessThreshold
		if value {
			threshold = probe.FailureThreshold
		}
		if contrary >= threshold {
			value, contrary = !value, 0
			select {
			case changes <- value:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// probeClient opens a connection for each probe, as a kubelet does.
var probeClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// try makes one attempt. Probes other than HTTP and TCP fail.
func (p *pod) try(ctx context.Context, container *corev1.Container, probe *corev1.Probe) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(probe.TimeoutSeconds)*time.Second)
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		url := "http://" + ProcessAddress(p.ip, portNumber(container, probe.HTTPGet.Port)) + probe.HTTPGet.Path
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		response, err := probeClient.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode >= 200 && response.StatusCode < 400
	case probe.TCPSocket != nil:
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", ProcessAddress(p.ip, portNumber(container, probe.TCPSocket.Port)))
		if err != nil {
			return false
		}
		return connection.Close() == nil
	}
	return false
}

// portNumber returns the number of a port that a probe names; zero if the container has no port of that name.
func portNumber(container *corev1.Container, port intstr.IntOrString) int32 {
	for _, p := range container.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal {
			return p.ContainerPort
		}
	}
	return port.IntVal
}
