package migrate

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
)

// policyFor returns what a policy of the namespace has to set to give pods the connection that they had; nil for one that discovery gives
// anyway, or that no policy can give.
func policyFor(c *connection) map[string]any {
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

// Policy is the policy that a namespace needs beyond what discovery reads.
type Policy struct {
	// Namespace is where it belongs.
	Namespace string `json:"namespace"`
	// Document is the policy, in YAML.
	Document string `json:"document"`
}

// FileName is the name of the file that the policy is written to.
func (p *Policy) FileName() string { return config.ConfigMapName + "-" + p.Namespace + ".yaml" }

// ConfigMap returns the manifest of the ConfigMap with the policy.
func (p *Policy) ConfigMap() string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: %s\n", config.ConfigMapName, p.Namespace)
	b.WriteString("data:\n  policy.yaml: |\n")
	for line := range strings.Lines(p.Document) {
		b.WriteString("    " + line)
	}
	return b.String()
}

func (p *Policy) documents() *config.Documents {
	return config.FromFile(p.FileName(), []byte(p.Document), config.OriginNamespace)
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
