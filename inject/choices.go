package inject

import (
	"fmt"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// choices are what a pod's annotations set, the last layer of the policy.
type choices struct {
	include   []string
	included  bool
	transport config.Transport
	delivery  config.Delivery
	// wanted is the engines that are asked for; wantedByPod is true where an annotation does.
	wanted      engine.Wanted
	wantedByPod bool
	// waitOff is what decides against waiting for the engine, empty for nothing.
	waitOff string
}

// readChoices reads the pod's annotations. An annotation that the policy does not let pods set is never ignored: who writes it
// believes that it holds.
func readChoices(policy *Policy, pod *pod) (choices, *obstacle) {
	c := choices{include: policy.include, transport: policy.transport, delivery: policy.delivery, wanted: policy.wanted}
	if !policy.waits {
		c.waitOff = "wait.enabled"
	}
	for _, a := range podAnnotations {
		value, ok := pod.annotation(a.name)
		if !ok {
			continue
		}
		if !policy.podMaySet(a.field) {
			return c, notForPods(a.name, a.field)
		}
		if problem := a.set(&c, value); problem != "" {
			return c, obstructf(ReasonAnnotationInvalid, "%s: %s", a.name, problem)
		}
	}
	sidecar, asked := policy.transport == config.TransportSidecar, c.transport == config.TransportSidecar
	if sidecar != asked && !policy.podMaySet(config.FieldSidecar) {
		return c, notForPods(AnnotationTransport, config.FieldSidecar)
	}
	return c, nil
}

const (
	// AnnotationPolicy chooses a profile by its name.
	AnnotationPolicy = "dagger.io/policy"
	// AnnotationContainers chooses a pod's containers: comma-separated names or patterns of path.Match.
	AnnotationContainers = "dagger.io/containers"
	// AnnotationEngine chooses among the engines that there are: a version, latest, or the name of a workload.
	AnnotationEngine = engine.Annotation
	// AnnotationTransport chooses engine.transport.
	AnnotationTransport = "dagger.io/transport"
	// AnnotationCLI chooses cli.delivery.
	AnnotationCLI = "dagger.io/cli"
	// AnnotationWait chooses wait.enabled.
	AnnotationWait = "dagger.io/wait"
)

// maxPatterns bounds what a pod can have its containers compared with.
const maxPatterns = 32

// podAnnotations are the annotations that set a field of the policy.
var podAnnotations = []struct {
	name, field string
	set         func(c *choices, value string) (problem string)
}{
	{AnnotationContainers, "containers.include", func(c *choices, value string) string {
		c.include, c.included = splitNames(value), true
		if len(c.include) == 0 {
			return "it is empty: want names of containers or patterns, separated by commas"
		}
		if len(c.include) > maxPatterns || len(value) > maxPatterns*64 {
			return fmt.Sprintf("it is too long: at most %d names or patterns are accepted", maxPatterns)
		}
		return malformed(c.include)
	}},
	{AnnotationEngine, config.FieldEngineVersion, func(c *choices, value string) string {
		wanted, err := engine.ParseWanted(value)
		if err != nil {
			return err.Error()
		}
		c.wanted, c.wantedByPod = wanted, true
		return ""
	}},
	{AnnotationTransport, "engine.transport", func(c *choices, value string) string {
		switch c.transport = config.Transport(value); c.transport {
		case config.TransportAuto, config.TransportSocket, config.TransportNodeTCP, config.TransportTCP, config.TransportTLS,
			config.TransportSidecar:
			return ""
		}
		return fmt.Sprintf("%.60q is not accepted: accepted is auto, socket, node-tcp, tcp, tls, sidecar", value)
	}},
	{AnnotationCLI, "cli.delivery", func(c *choices, value string) string {
		switch c.delivery = config.Delivery(value); c.delivery {
		case config.DeliveryAuto, config.DeliveryInitContainer, config.DeliveryImageVolume, config.DeliveryNone:
			return ""
		}
		return fmt.Sprintf("%.60q is not accepted: accepted is auto, init-container, image-volume, none", value)
	}},
	{AnnotationWait, "wait.enabled", func(c *choices, value string) string {
		switch value {
		case "true":
			c.waitOff = ""
			return ""
		case "false":
			c.waitOff = AnnotationWait
			return ""
		}
		return fmt.Sprintf("%.60q is not accepted: accepted is true, false", value)
	}},
}

func notForPods(annotation, field string) *obstacle {
	return obstructf(ReasonAnnotationInvalid, "%s: the policy does not let pods choose %s (overrides.fromPods)", annotation, field)
}
