package inject

import (
	"encoding/json"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
)

// Policy is a policy compiled for decisions: everything that does not depend on the pod is worked out once. A Policy is
// never changed after it was made, and is safe for concurrent use. There may be one for each of 10,000 namespaces, so it keeps only
// what decisions read, and shares with the cluster's policy the parts that are equal.
type Policy struct {
	source string
	hash   string
	err    error // why the policy is invalid; then only onError and the rules for namespaces are set

	transport        config.Transport
	include, exclude []string // patterns of containers' names
	waits            bool     // wait.enabled
	*settings

	// engines are those that pods may get, the preferred first. There is always one: if none is discovered, it is the one that the
	// policy names, of which nothing else is known.
	engines []*compiledEngine
	// sidecars are the engines that a pod may get for itself by the transport sidecar. There is none if nobody may ask for one.
	sidecars []*compiledEngine
	// beyond is how many further engines there are, which decisions do not consider.
	beyond int
	// discoverErr is why discovery found no engine; nil if it found one, or if the policy does not discover engines.
	discoverErr error

	env      []envAddition
	envBytes int            // of all of env
	envIndex map[string]int // nil where env is short

	// anywhere is what the policy adds to every pod.
	anywhere *placement
}

// settings are fields that namespaces seldom set, or may not.
type settings struct {
	onError    config.OnError
	delivery   config.Delivery
	fromEngine bool
	// engineNamespace is where to look for the engine, empty for nowhere and for the pod's own.
	engineNamespace string
	podSecurity     config.PodSecurity
	// ignorePodSecurity offers the socket whatever the namespace's level is.
	ignorePodSecurity bool
	runtimeClasses    []string // patterns of those whose pods share the node's kernel
	podLabel          config.PodLabel
	namespaces        labels.Selector // nil selects all
	fromPods          []string
	cacheAffinity     *cacheAffinity // nil where it is off
	handOn            bool           // runners hand their opting in on to the pods of their jobs
	// wanted is the engines that the policy asks for.
	wanted engine.Wanted
	// seLinux is for containers that use the socket; nil for nothing.
	seLinux *seLinux
}

type envAddition struct {
	name string
	json json.RawMessage
}

// newPolicy compiles a valid policy. The source says where it came from; like is one that it may share memory with.
func newPolicy(effective *config.Effective, engines Engines, source string, like *Policy) *Policy {
	c := effective.Policy
	policy := &Policy{
		source: source, hash: effective.Hash(), settings: newSettings(c),
		transport: c.Engine.Transport, include: c.Containers.Include, exclude: c.Containers.Exclude, waits: c.Wait.Enabled,
	}
	env := c.Env
	if token := c.CloudToken; token.SecretName != "" {
		env = append(slices.Clip(env), corev1.EnvVar{Name: envCloudToken, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: token.SecretName}, Key: token.Key,
		}}})
	}
	for _, e := range env {
		add := envAddition{e.Name, mustMarshal(e)}
		policy.env, policy.envBytes = append(policy.env, add), policy.envBytes+len(add.json)
	}
	policy.indexEnv()
	anywhere := newPlacement(&c.Scheduling)
	policy.anywhere = same(&anywhere, like.anywhere)
	compileEngines(policy, effective, engines, like)
	policy.share(like)
	return policy
}

func newSettings(c *config.InjectionPolicy) *settings {
	s := &settings{
		onError: c.OnError, delivery: c.CLI.Delivery, fromEngine: c.Scheduling.FromEngine, engineNamespace: lookIn(&c.Engine.Discover),
		podSecurity: c.PodSecurity, ignorePodSecurity: c.Engine.Socket.IgnorePodSecurity, podLabel: c.Namespaces.PodLabel,
		fromPods: c.Overrides.FromPods, handOn: c.Runners.ARC.HandOn,
		cacheAffinity: newCacheAffinity(&c.Scheduling.CacheAffinity),
		seLinux:       newSELinux(&c.Engine.Socket.SELinuxOptions), runtimeClasses: c.Engine.Socket.RuntimeClasses,
	}
	s.wanted, _ = engine.ParseWanted(c.Engine.Discover.Version) // validation has read it; none is any
	if selector := c.Namespaces.Selector; len(selector.MatchLabels)+len(selector.MatchExpressions) > 0 {
		// Validation has made the same selector.
		s.namespaces, _ = metav1.LabelSelectorAsSelector(&selector)
	}
	return s
}

// share takes equal parts from another policy, so that memory holds them once.
func (policy *Policy) share(like *Policy) {
	policy.settings = same(policy.settings, like.settings)
	if policy.discoverErr != nil && like.discoverErr != nil && policy.discoverErr.Error() == like.discoverErr.Error() {
		policy.discoverErr = like.discoverErr
	}
}

// same returns the other value if the two are deeply equal.
func same[T any](made, other *T) *T {
	if reflect.DeepEqual(made, other) {
		return other
	}
	return made
}

// shortEnv is the length up to which a search is faster than an index.
const shortEnv = 8

func (policy *Policy) indexEnv() {
	if len(policy.env) <= shortEnv {
		return
	}
	policy.envIndex = make(map[string]int, len(policy.env))
	for i := range policy.env {
		policy.envIndex[policy.env[i].name] = i
	}
}

// envNamed returns the index of a variable in env.
func (policy *Policy) envNamed(name string) (int, bool) {
	if policy.envIndex != nil {
		i, ok := policy.envIndex[name]
		return i, ok
	}
	i := slices.IndexFunc(policy.env, func(e envAddition) bool { return e.name == name })
	return i, i >= 0
}

// podMaySet reports whether a pod's annotation may set a field.
func (policy *Policy) podMaySet(field string) bool { return config.Permits(policy.fromPods, field) }

// admitsNamespace applies the cluster's rules for namespaces, and returns why they keep the pod out, or nil.
func (policy *Policy) admitsNamespace(ns *Namespace, asked optIn) *obstacle {
	if policy.namespaces != nil && !policy.namespaces.Matches(labels.Set(ns.Labels)) {
		return obstruct(ReasonNamespaceNotSelected)
	}
	if asked.byPod && policy.podLabel == config.PodLabelRequireNamespaceLabel && !ns.asks() {
		return obstruct(ReasonNamespaceLabelRequired)
	}
	return nil
}

func envJSON(name, value string) json.RawMessage {
	dst := append(json.RawMessage(nil), `{"name":`...)
	dst = patch.AppendString(dst, name)
	dst = append(dst, `,"value":`...)
	dst = patch.AppendString(dst, value)
	return append(dst, '}')
}

// mustMarshal encodes values whose types cannot fail to encode.
func mustMarshal(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
