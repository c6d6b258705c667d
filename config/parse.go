package config

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/dagger-inject/dagger-inject/internal/truncate"
)

// MaxSize is how many bytes a policy document may have.
const MaxSize = 64 << 10

//go:embed default.yaml
var defaultPolicy []byte

// Default returns the built-in policy, which holds where none is given.
func Default() *InjectionPolicy {
	policy, err := Parse(defaultPolicy)
	if err != nil {
		panic(fmt.Sprintf("the built-in policy is invalid: %v", err))
	}
	return policy
}

// DefaultYAML returns the built-in policy's document, as a cluster's policy can start from it.
func DefaultYAML() string { return string(defaultPolicy) }

// FieldError is one error in a policy.
type FieldError struct {
	// Source is the document, as its Layer names it; empty where there is only one.
	Source string
	// Path is the field, as in engine.socket.hostPath; empty for the document.
	Path string
	// Line is where the document has it, from 1; 0 where that is not known.
	Line int
	// Problem says what is wrong and what is accepted.
	Problem string
}

// Error returns the problem with its source, line and field.
func (e FieldError) Error() string {
	var b strings.Builder
	if e.Source != "" {
		b.WriteString(e.Source + ": ")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	// What a message quotes of a policy may be as long as the policy.
	if e.Path != "" {
		b.WriteString(truncate.Text(e.Path, 200) + ": ")
	}
	b.WriteString(truncate.Text(e.Problem, 600))
	return b.String()
}

// Errors lists the errors of a policy in the order of the document: all of them, or the first maxErrors and how many more.
type Errors []FieldError

const (
	// maxErrors is how many errors are kept of a policy.
	maxErrors = 50
	// maxInLine is how many of them Error returns: the text is repeated for every pod.
	maxInLine = 5
)

// Error returns the first problems, separated by semicolons.
func (e Errors) Error() string {
	var texts []string
	for i, one := range e {
		if i == maxInLine {
			texts = append(texts, fmt.Sprintf("and %d more", len(e)-i))
			break
		}
		texts = append(texts, one.Error())
	}
	return strings.Join(texts, "; ")
}

// bounded keeps the first errors and says how many more there are.
func (e Errors) bounded() Errors {
	if len(e) <= maxErrors {
		return e
	}
	return append(e[:maxErrors:maxErrors], FieldError{Source: e[0].Source, Problem: fmt.Sprintf("%d more errors", len(e)-maxErrors)})
}

// parseYAML returns the one mapping that a document holds.
func parseYAML(document []byte) (*yaml.Node, *FieldError) {
	decoder := yaml.NewDecoder(bytes.NewReader(document))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &FieldError{Problem: "the policy is empty: it needs at least apiVersion: " + APIVersion + " and kind: " + Kind}
		}
		return nil, &FieldError{Problem: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	var second yaml.Node
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, &FieldError{Line: second.Line, Problem: "more than one YAML document: a policy is exactly one"}
	}
	return doc.Content[0], nil
}

func withDefaults() *InjectionPolicy {
	sizeLimit := resource.MustParse("20Gi")
	return &InjectionPolicy{
		Engine: Engine{
			Transport: TransportAuto,
			Discover:  Discover{Namespace: "dagger"},
			Socket: Socket{File: "engine.sock", MountPath: "/run/dagger", Group: 1001,
				RuntimeClasses: []string{"nvidia", "nvidia-cdi", "nvidia-legacy"}},
			TLS:     TLS{CAFile: "ca.crt", CertFile: "tls.crt", KeyFile: "tls.key"},
			Sidecar: Sidecar{CacheVolume: CacheVolume{SizeLimit: &sizeLimit}},
		},
		Scheduling: Scheduling{FromEngine: true,
			CacheAffinity: CacheAffinity{Key: CacheKeyAuto, Nodes: 16, Weight: 100, LastWeight: 55}},
		CLI:         CLI{Delivery: DeliveryAuto, Path: "/usr/local/bin/dagger"},
		Wait:        Wait{Enabled: true, When: WhenStart, Timeout: TimeoutAuto, OnTimeout: OnTimeoutFail},
		Runners:     Runners{ARC: ARC{HandOn: true}},
		OnError:     OnErrorAuto,
		Namespaces:  Namespaces{PodLabel: PodLabelAllow},
		PodSecurity: PodSecurity{Default: PodSecurityPrivileged},
		Overrides: Overrides{
			FromNamespaces: []string{
				"engine.transport", "engine.tcp", "engine.tls", FieldEngineVersion, "cli.delivery",
				"wait.enabled", "wait.when", "wait.timeout", "wait.onTimeout", "containers", "env", "cloudToken", "runners",
				"scheduling.tolerations", "scheduling.nodeSelector", "scheduling.nodeAffinity",
				FieldCacheAffinity, "scheduling.cacheAffinity.key",
			},
			FromPods: []string{FieldProfile, "containers.include", FieldEngineVersion},
		},
	}
}

// complete fills in defaults that depend on other fields.
func complete(policy *InjectionPolicy) {
	completeResources(&policy.CLI.Resources, "100m", "64Mi")
	// Init containers run one after the other, and a pod reserves room for the largest: a second one of the same size costs
	// nothing.
	completeResources(&policy.Wait.Resources, "100m", "64Mi")
	completeResources(&policy.Engine.Sidecar.Resources, "1", "2Gi")
}

// completeResources makes an init container's requests and limits equal.
func completeResources(r *corev1.ResourceRequirements, cpu, memory string) {
	merged := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse(cpu),
		corev1.ResourceMemory: resource.MustParse(memory),
	}
	for _, list := range []corev1.ResourceList{r.Requests, r.Limits} {
		for name, quantity := range list {
			merged[name] = quantity
		}
	}
	r.Requests, r.Limits = merged, merged.DeepCopy()
}
