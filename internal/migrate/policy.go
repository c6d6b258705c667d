package migrate

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// policyFor returns what a policy of the namespace has to set to give pods the connection that they had; nil for one that discovery gives
// anyway, or that no policy can give.
func policyFor(c *connection) map[string]any {
	if c == nil {
		return nil
	}
	engine := map[string]any{}
	switch c.by {
	case bySocket:
		engine["transport"] = config.TransportSocket
	case byTCP:
		address := strings.TrimPrefix(c.engine, "tcp://")
		if strings.HasPrefix(address, theNode) {
			engine["transport"] = config.TransportNodeTCP
			break
		}
		engine["transport"] = config.TransportTCP
		engine["tcp"] = map[string]any{"address": address}
	case byTLS:
		address, _, _ := strings.Cut(strings.TrimPrefix(c.engine, "tls://"), " ")
		tls := map[string]any{"address": address}
		if c.tls.secret != "" {
			tls["secretName"], tls["caFile"], tls["certFile"], tls["keyFile"] = c.tls.secret, c.tls.ca, c.tls.cert, c.tls.key
		}
		engine["transport"] = config.TransportTLS
		engine["tls"] = tls
	case bySidecar:
		engine["transport"] = config.TransportSidecar
		engine["sidecar"] = map[string]any{"image": c.image}
	default:
		return nil
	}
	return map[string]any{"engine": engine}
}

// Policy is what a namespace needs beyond what discovery reads.
type Policy struct {
	// Namespace is where it belongs.
	Namespace string `json:"namespace"`
	// Document is the policy of all its pods, in YAML; empty for none.
	Document string `json:"document,omitempty"`
	// Profiles are policies by name, of the pods that name one of them in an annotation.
	Profiles map[string]string `json:"profiles,omitempty"`
}

// FileName is the name of the file that the policy is written to.
func (p *Policy) FileName() string { return config.ConfigMapName + "-" + p.Namespace + ".yaml" }

// data returns what the ConfigMap has.
func (p *Policy) data() map[string]string {
	data := map[string]string{}
	if p.Document != "" {
		data["policy.yaml"] = p.Document
	}
	for name, document := range p.Profiles {
		data[name+".yaml"] = document
	}
	return data
}

// ConfigMap returns the manifest of the ConfigMap with the policy.
func (p *Policy) ConfigMap() string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: %s\ndata:\n", config.ConfigMapName, p.Namespace)
	data := p.data()
	for _, key := range sortedNames(data) {
		b.WriteString("  " + key + ": |\n")
		for line := range strings.Lines(data[key]) {
			b.WriteString("    " + line)
		}
	}
	return b.String()
}

func (p *Policy) documents() *config.Documents {
	return config.FromConfigMap(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: config.ConfigMapName}, Data: p.data(),
	}, config.OriginNamespace)
}

// newPolicy returns the policy of a namespace for a connection; nil where there is none for it.
func newPolicy(namespace string, c *connection) (*Policy, error) {
	content := policyFor(c)
	if content == nil {
		return nil, nil
	}
	text, err := yaml.Marshal(content)
	if err != nil {
		return nil, err
	}
	return &Policy{Namespace: namespace, Document: "apiVersion: " + config.APIVersion + "\nkind: " + config.Kind + "\n" + string(text)}, nil
}

// settlePolicies decides what policy each namespace gets. Workloads that need different ones get profiles, which their pods name.
func (m *migration) settlePolicies(jobs []*job) {
	wanted := map[string][]*task{} // by namespace
	for _, j := range jobs {
		for _, p := range j.documents {
			for _, t := range p.tasks {
				if t.migrates() {
					wanted[t.namespace] = append(wanted[t.namespace], t)
				}
			}
		}
	}
	m.policies = map[string]*Policy{}
	for namespace, tasks := range wanted {
		if policy := settle(namespace, tasks); policy != nil {
			m.policies[namespace] = policy
		}
	}
}

func settle(namespace string, tasks []*task) *Policy {
	documents := map[string]bool{}
	for _, t := range tasks {
		delete(t.annotations, inject.AnnotationPolicy)
		documents[t.document()] = true
	}
	if len(documents) == 1 {
		return tasks[0].policy
	}
	policy := &Policy{Namespace: namespace, Profiles: map[string]string{}}
	profiles := map[string]string{"": ""} // names by document
	for _, t := range tasks {
		document := t.document()
		if _, have := profiles[document]; !have {
			name := t.wiring.connection().by
			for n := 2; policy.Profiles[name] != ""; n++ {
				name = fmt.Sprintf("%s-%d", t.wiring.connection().by, n)
			}
			profiles[document], policy.Profiles[name] = name, document
		}
		if document != "" {
			t.annotations[inject.AnnotationPolicy] = profiles[document]
		}
	}
	return policy
}

// document is the policy that the workload needs; empty for none.
func (t *task) document() string {
	if t.policy == nil {
		return ""
	}
	return t.policy.Document
}
