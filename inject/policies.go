package inject

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// Policies is every policy that holds in a namespace: the default one and the profiles that a pod may choose. It is never
// changed after it was made, and is safe for concurrent use.
type Policies struct {
	cluster, namespace *config.Documents
	engines            Engines
	standard           *Policy            // that of config.DefaultProfile
	profiles           map[string]*Policy // the others, nil for none
	ignored            config.Errors
	ownNamespace       bool // a policy looks for the engine in the pod's own namespace
	envBytes           int  // of the profile whose env is largest
}

// NewPolicies layers and compiles the cluster's documents and a namespace's, nil for none, with what is known of engines. It
// always returns Policies: what is invalid is a Policy under which every pod that asks ends with ReasonPolicyInvalid, and never
// an older or laxer one.
func NewPolicies(cluster, namespace *config.Documents, engines Engines) *Policies {
	return newPolicies(cluster, namespace, engines, &Policies{standard: &Policy{}})
}

// With returns what NewPolicies does for the same cluster's documents and engines and a namespace's documents. It shares memory
// with p.
func (p *Policies) With(namespace *config.Documents) *Policies {
	return newPolicies(p.cluster, namespace, p.engines, p)
}

func newPolicies(cluster, namespace *config.Documents, engines Engines, like *Policies) *Policies {
	p := &Policies{cluster: cluster, namespace: namespace, engines: engines}
	p.standard = p.resolve(config.DefaultProfile, like.standard)
	p.envBytes = p.standard.envBytes
	for _, name := range append(cluster.Profiles(), namespace.Profiles()...) {
		if p.profile(name) != nil {
			continue
		}
		if p.profiles == nil {
			p.profiles = map[string]*Policy{}
		}
		p.profiles[name] = p.resolve(name, cmp.Or(like.profiles[name], p.standard))
		p.envBytes = max(p.envBytes, p.profiles[name].envBytes)
	}
	return p
}

// profile returns the policy of that name, nil for none.
func (p *Policies) profile(name string) *Policy {
	if name == config.DefaultProfile {
		return p.standard
	}
	return p.profiles[name]
}

// names returns the names of all profiles, sorted.
func (p *Policies) names() []string {
	names := append(slices.Collect(maps.Keys(p.profiles)), config.DefaultProfile)
	slices.Sort(names)
	return names
}

// resolve compiles one profile. It shares memory with the policy like.
func (p *Policies) resolve(profile string, like *Policy) *Policy {
	cluster, namespace := p.cluster, p.namespace
	source := "none"
	if cluster != nil {
		source = cluster.Source
	}
	if namespace != nil {
		source = namespace.Source
	}
	if profile != config.DefaultProfile {
		source += ", profile " + profile
	}
	effective, err := config.Resolve(cluster, namespace, profile)
	if err == nil {
		for _, field := range effective.Ignored {
			if !slices.Contains(p.ignored, field) {
				p.ignored = append(p.ignored, field)
			}
		}
		p.ownNamespace = p.ownNamespace || effective.Policy.Engine.Discover.OwnNamespace
		return newPolicy(effective, p.engines, source, like)
	}
	// A bad policy of a namespace follows the cluster's onError and its rules for namespaces; a bad one of the cluster's
	// follows auto.
	invalid := &Policy{source: source, err: err, settings: &settings{onError: config.OnErrorAuto}}
	if namespace != nil {
		own, err := config.Resolve(cluster, nil, profile)
		if err != nil {
			own, err = config.Resolve(cluster, nil, config.DefaultProfile)
		}
		if err == nil {
			invalid.settings = newSettings(own.Policy)
		}
	}
	return invalid
}

// Problems returns what is wrong with the policies of all profiles, each problem once. Where the namespace has documents, what
// is wrong with the cluster's alone is left out: it is not theirs to mend.
func (p *Policies) Problems() config.Errors {
	var problems config.Errors
	seen := map[config.FieldError]bool{}
	for _, name := range p.names() {
		if p.namespace != nil {
			_, err := config.Resolve(p.cluster, nil, name)
			for _, one := range asErrors(err) {
				seen[one] = true
			}
		}
		for _, one := range asErrors(p.profile(name).err) {
			if !seen[one] {
				problems = append(problems, one)
			}
			seen[one] = true
		}
	}
	return problems
}

// asErrors returns the errors of a policy one by one.
func asErrors(err error) config.Errors {
	var all config.Errors
	if err == nil || errors.As(err, &all) {
		return all
	}
	return config.Errors{{Problem: err.Error()}}
}

// Ignored returns the fields that this program does not know and left out, as the policy was written for a newer one.
func (p *Policies) Ignored() config.Errors { return p.ignored }

// Err returns what is wrong with the default policy, nil for nothing.
func (p *Policies) Err() error { return p.standard.err }

// MostAdded returns how many bytes Decide can add to a pod of that many containers at most, whatever its profile: an upper bound
// that costs nothing to work out.
func (p *Policies) MostAdded(containers int) int {
	const fixed = 4 << 10 // what a container and the pod get besides env
	return min(maxAdded, fixed+min(containers, maxTargets)*(fixed+p.envBytes))
}

func (p *Policies) onError() config.OnError { return p.standard.onError }

// choose returns the policy that a pod's annotation chooses. A detail says why there is none.
func (p *Policies) choose(pod *pod) (policy *Policy, detail string) {
	policy = p.standard
	name, chosen := pod.annotation(AnnotationPolicy)
	if !chosen || policy.err != nil {
		return policy, ""
	}
	if !policy.podMaySet(config.FieldProfile) {
		return nil, notForPods(AnnotationPolicy, config.FieldProfile)
	}
	if policy = p.profile(name); policy == nil {
		_, err := config.Resolve(p.cluster, p.namespace, name)
		return nil, fmt.Sprintf("%s: %v", AnnotationPolicy, err)
	}
	return policy, ""
}

func (p *Policy) podMaySet(field string) bool {
	return config.Permits(p.fromPods, field)
}

func notForPods(annotation, field string) string {
	return fmt.Sprintf("%s: the policy does not let pods choose %s (overrides.fromPods)", annotation, field)
}

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

// choose reads the pod's annotations. An annotation that the policy does not let pods set is never ignored: who writes it
// believes that it holds.
func (p *Policy) choose(pod *pod) (choices, string) {
	c := choices{include: p.include, transport: p.transport, delivery: p.delivery, wanted: p.wanted}
	if !p.waits {
		c.waitOff = "wait.enabled"
	}
	for _, a := range podAnnotations {
		value, ok := pod.annotation(a.name)
		if !ok {
			continue
		}
		if !p.podMaySet(a.field) {
			return c, notForPods(a.name, a.field)
		}
		if problem := a.set(&c, value); problem != "" {
			return c, fmt.Sprintf("%s: %s", a.name, problem)
		}
	}
	return c, ""
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
		case config.TransportAuto, config.TransportSocket, config.TransportNodeTCP, config.TransportTCP, config.TransportTLS:
			return ""
		}
		return fmt.Sprintf("%.60q is not accepted: accepted is auto, socket, node-tcp, tcp, tls", value)
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

// admitsNamespace applies what the cluster's policy says of namespaces, and returns the reason that keeps the pod out.
func (p *Policy) admitsNamespace(ns *Namespace, asked optIn) Reason {
	if p.namespaces != nil && !p.namespaces.Matches(labels.Set(ns.Labels)) {
		return ReasonNamespaceNotSelected
	}
	if asked.byPod && p.podLabel == config.PodLabelRequireNamespaceLabel && ns.Labels[LabelInject] != "true" {
		return ReasonNamespaceLabelRequired
	}
	return ""
}
