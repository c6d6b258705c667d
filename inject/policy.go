package inject

import (
	"encoding/json"
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
	// discoverErr is why no engine was read off the cluster; nil where one was, or where none was looked for.
	discoverErr error

	// The connections that the engine offers; nil for what it does not.
	socket, nodeTCP, nodeTCP6, tcp, tls *connection

	cli cliTemplates

	namespaces labels.Selector // nil selects all

	env      []envAddition
	envIndex map[string]int

	// anywhere is what the policy adds to every pod; onNode adds what brings a pod to a node with an engine.
	anywhere, onNode placement
}

type envAddition struct {
	name string
	json json.RawMessage
}

// newPolicy compiles a valid policy. The source says where it came from.
func newPolicy(effective *config.Effective, engines Engines, source string) *Policy {
	c := effective.Policy
	p := &Policy{source: source, config: c, hash: effective.Hash()}
	var discovered *engine.Discovered
	discovered, p.discoverErr = engines.find(&c.Engine.Discover)
	p.engine = engine.Resolve(c, discovered, effective.IsSet)
	p.connect()
	if p.engine.Image != "" {
		p.cli = newCLITemplates(&c.CLI, p.engine.Image)
	}
	p.compileNamespaces()
	env := c.Env
	if token := c.CloudToken; token.SecretName != "" {
		env = append(slices.Clip(env), corev1.EnvVar{Name: envCloudToken, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: token.SecretName}, Key: token.Key,
		}}})
	}
	p.envIndex = make(map[string]int, len(env))
	for i, e := range env {
		p.envIndex[e.Name] = i
		p.env = append(p.env, envAddition{e.Name, mustMarshal(e)})
	}
	p.anywhere = newPlacement(&c.Scheduling)
	p.onNode = p.anywhere
	if c.Scheduling.FromEngine {
		p.onNode = p.anywhere.with(&p.engine.Placement)
	}
	return p
}

func (p *Policy) compileNamespaces() {
	if s := p.config.Namespaces.Selector; len(s.MatchLabels)+len(s.MatchExpressions) > 0 {
		// Validation has made the same selector.
		p.namespaces, _ = metav1.LabelSelectorAsSelector(&s)
	}
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
