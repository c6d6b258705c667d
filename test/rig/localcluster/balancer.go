package localcluster

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/dagger-inject/dagger-inject/test/rig/forward"
	"github.com/dagger-inject/dagger-inject/test/rig/localcluster/kubelet"
)

// balancer stands for kube-proxy: it listens on the address of each Service and passes each connection to one ready pod,
// chosen by chance. It does not look at the data of a connection, and never tries a second pod.
type balancer struct {
	delay    time.Duration
	output   io.Writer
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	// changed signals that a Service or an EndpointSlice has changed.
	changed chan struct{}

	mu sync.RWMutex
	// backends are the addresses of the processes behind each address that the balancer listens on.
	backends  map[string][]string
	listeners map[string]net.Listener
	// open is how many connections to each backend are open.
	open map[string]int
}

// startBalancer follows Services and EndpointSlices until the context ends, with a delay.
func startBalancer(ctx context.Context, client kubernetes.Interface, delay time.Duration, output io.Writer) (*balancer, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	b := &balancer{
		delay: delay, output: output,
		services: factory.Core().V1().Services().Lister(), slices: factory.Discovery().V1().EndpointSlices().Lister(),
		changed: make(chan struct{}, 1), backends: map[string][]string{}, listeners: map[string]net.Listener{}, open: map[string]int{},
	}
	notify := func() {
		select {
		case b.changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Services().Informer(), factory.Discovery().V1().EndpointSlices().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go b.follow(ctx)
	return b, nil
}

// follow applies each state of the Services once the delay is over.
func (b *balancer) follow(ctx context.Context) {
	for {
		select {
		case <-b.changed:
			state := b.state()
			time.AfterFunc(b.delay, func() { b.apply(ctx, state) })
		case <-ctx.Done():
			b.apply(ctx, nil)
			return
		}
	}
}

// state returns the backends of each Service's address, of those that have an address and a selector.
func (b *balancer) state() map[string][]string {
	state := map[string][]string{}
	services, err := b.services.List(labels.Everything())
	if err != nil {
		return state
	}
	for _, service := range services {
		if service.Spec.ClusterIP == corev1.ClusterIPNone || len(service.Spec.Selector) == 0 {
			continue
		}
		ofService := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
		slices, err := b.slices.EndpointSlices(service.Namespace).List(ofService)
		if err != nil {
			continue
		}
		for _, port := range service.Spec.Ports {
			state[net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(port.Port)))] = backends(slices, port.Name)
		}
	}
	return state
}

// backends returns where connections may go: to the ready pods or, as with kube-proxy, if no pod is ready, to those that are
// terminating and still serve.
func backends(all []*discoveryv1.EndpointSlice, port string) []string {
	var ready, terminating []string
	for _, slice := range all {
		for _, p := range slice.Ports {
			if ptr.Deref(p.Name, "") != port || p.Port == nil {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				target := kubelet.ProcessAddress(endpoint.Addresses[0], *p.Port)
				switch c := endpoint.Conditions; {
				case ptr.Deref(c.Ready, true):
					ready = append(ready, target)
				case ptr.Deref(c.Serving, false) && ptr.Deref(c.Terminating, false):
					terminating = append(terminating, target)
				}
			}
		}
	}
	if len(ready) > 0 {
		return ready
	}
	return terminating
}

// apply makes a state current: new connections follow it, open ones stay.
func (b *balancer) apply(ctx context.Context, state map[string][]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, listener := range b.listeners {
		if _, found := state[at]; !found || ctx.Err() != nil {
			_ = listener.Close()
			delete(b.listeners, at)
		}
	}
	b.backends = state
	if ctx.Err() != nil {
		return
	}
	for _, at := range slices.Sorted(maps.Keys(state)) {
		if b.listeners[at] != nil {
			continue
		}
		listener, err := net.Listen("tcp", at)
		if err != nil {
			_, _ = fmt.Fprintf(b.output, "balancer: %v\n", err)
			continue
		}
		b.listeners[at] = listener
		go forward.Serve(listener, func() (string, func()) { return b.choose(at) })
	}
}
