package inject

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/inject/patch"
)

// Policy is a policy compiled for decisions: everything that does not depend on the pod is worked out once. A Policy is
// never changed after it was made, and is safe for concurrent use.
type Policy struct {
	source string
	hash   string
	err    error // the policy is invalid, and the rest is empty

	config *config.InjectionPolicy
	engine engine.Engine

	// The connections that the engine offers; nil for what it does not.
	socket, nodeTCP, nodeTCP6, tcp, tls *connection

	cli cliTemplates

	namespaces labels.Selector // nil selects all

	env          []envAddition
	envIndex     map[string]int
	tolerations  []tolerationAddition
	nodeSelector []labelAddition
	required     []termAddition
	preferred    []preferredAddition
}

type envAddition struct {
	name string
	json json.RawMessage
}

type tolerationAddition struct {
	corev1.Toleration
	json json.RawMessage
}

type labelAddition struct{ key, value string }

// newPolicy compiles a valid policy. The source says where it came from.
func newPolicy(effective *config.Effective, source string) *Policy {
	c := effective.Policy
	p := &Policy{source: source, config: c, engine: engine.Explicit(c), hash: effective.Hash()}
	p.connect()
	if p.engine.Image != "" {
		p.cli = newCLITemplates(&c.CLI, p.engine.Image)
	}
	if s := c.Namespaces.Selector; len(s.MatchLabels)+len(s.MatchExpressions) > 0 {
		// Validation has made the same selector.
		p.namespaces, _ = metav1.LabelSelectorAsSelector(&s)
	}
	p.envIndex = make(map[string]int, len(c.Env))
	for i, e := range c.Env {
		p.envIndex[e.Name] = i
		p.env = append(p.env, envAddition{e.Name, mustMarshal(e)})
	}
	for _, t := range c.Scheduling.Tolerations {
		p.tolerations = append(p.tolerations, tolerationAddition{t, mustMarshal(t)})
	}
	for _, key := range slices.Sorted(maps.Keys(c.Scheduling.NodeSelector)) {
		p.nodeSelector = append(p.nodeSelector, labelAddition{key, c.Scheduling.NodeSelector[key]})
	}
	p.compileAffinity(&c.Scheduling.NodeAffinity)
	return p
}

// invalidPolicy returns a policy under which every pod that asks ends with ReasonPolicyInvalid.
func invalidPolicy(err error, source string, onError config.OnError) *Policy {
	return &Policy{source: source, err: err, config: &config.InjectionPolicy{OnError: onError}}
}

func envJSON(name, value string) json.RawMessage {
	dst := append(json.RawMessage(nil), `{"name":`...)
	dst = patch.AppendString(dst, name)
	dst = append(dst, `,"value":`...)
	dst = patch.AppendString(dst, value)
	return append(dst, '}')
}

// mustMarshal encodes values of types that always can be.
func mustMarshal(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
