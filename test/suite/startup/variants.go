package main

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// The names of our init containers.
const (
	containerCLI  = "dagger-cli"
	containerWait = "dagger-wait"
)

// variant is one way to inject the pod.
type variant struct {
	name string
	// inject is the value of the pod's label.
	inject string
	// policy is that of the pod's namespace, after its head.
	policy string
	// change is made to the pod that the webhook has injected, which is then created as it is. It is nil where the webhook injects
	// the pod in its creation.
	change func(*corev1.Pod)
}

// baseline is the variant that the others are compared with.
const baseline = figures.StartupBaseline

var variants = []variant{
	{name: baseline, inject: "false"},
	{name: "injected", inject: "true"},
	// The webhook limits the CPU only where something asks for it.
	{name: "CPU limited to 100m", change: limitCPU("100m", containerCLI, containerWait)},
	{name: "copy with a whole CPU", change: limitCPU("1", containerCLI)},
	{name: "no wait", inject: "true", policy: "wait: {enabled: false}\n"},
	{name: "no CLI", inject: "true", policy: "cli: {delivery: none}\n"},
	{name: "image volume", inject: "true", policy: "cli: {delivery: image-volume}\n"},
	{name: "image volume, a small program waits", policy: "cli: {delivery: image-volume}\n", change: each([]string{containerWait}, smallWait)},
	{name: "image volume, waits at first use", inject: "true", policy: "cli: {delivery: image-volume}\nwait: {when: use}\n"},
	{name: "image volume, no wait", inject: "true", policy: "cli: {delivery: image-volume}\nwait: {enabled: false}\n"},
}

// limitCPU limits the CPU of init containers, which is then what they request.
func limitCPU(limit string, names ...string) func(*corev1.Pod) {
	return each(names, func(c *corev1.Container) {
		if c.Resources.Limits == nil {
			c.Resources.Limits = corev1.ResourceList{}
		}
		c.Resources.Limits[corev1.ResourceCPU] = resource.MustParse(limit)
		c.Resources.Requests[corev1.ResourceCPU] = resource.MustParse(limit)
	})
}

// each changes the init containers of those names.
func each(names []string, change func(*corev1.Container)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		for i := range pod.Spec.InitContainers {
			for _, name := range names {
				if c := &pod.Spec.InitContainers[i]; c.Name == name {
					change(c)
				}
			}
		}
	}
}

// smallWait has the stand-in for a CLI ask the engine, once, in place of our wait: a program of 8 MB that imports no Kubernetes.
func smallWait(c *corev1.Container) {
	c.Image, c.Command, c.Args = engineImage, []string{"dagger", "core", "version"}, nil
	c.Env = append(c.Env, corev1.EnvVar{Name: inject.EnvRunnerHost, Value: "unix:///run/dagger/engine.sock"})
}
