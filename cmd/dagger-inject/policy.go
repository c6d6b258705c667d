package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	policyHelp          = "file with the cluster's policy, or the ConfigMap with it (default: the built-in policy, which fits the Dagger chart's default names)"
	namespacePolicyHelp = "file with the namespace's policy, or the ConfigMap with it"
)

// loadPolicies layers and compiles the policies in files; an empty name stands for the built-in policy, or for none of the
// namespace's. What is wrong with them is bad input.
func loadPolicies(clusterFile, namespaceFile string) (*inject.Policies, error) {
	cluster, namespace := config.BuiltIn(), (*config.Documents)(nil)
	var err error
	if clusterFile != "" {
		if cluster, err = loadDocuments(clusterFile, config.OriginCluster); err != nil {
			return nil, err
		}
	}
	if namespaceFile != "" {
		if namespace, err = loadDocuments(namespaceFile, config.OriginNamespace); err != nil {
			return nil, err
		}
	}
	policies := inject.NewPolicies(cluster, namespace)
	if err := policies.Err(); err != nil {
		return nil, badInput{errors.New(strings.Join(explain(err), "\n  "))}
	}
	return policies, nil
}

// loadDocuments reads a policy document, or a ConfigMap with policy documents in it.
func loadDocuments(file string, origin config.Origin) (*config.Documents, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, badInputf("reading the policy: %w", err)
	}
	var head struct{ Kind string }
	if yaml.Unmarshal(text, &head) == nil && head.Kind == "ConfigMap" {
		var cm corev1.ConfigMap
		if err := yaml.UnmarshalStrict(text, &cm); err != nil {
			return nil, badInputf("%s: %w", file, err)
		}
		return config.FromConfigMap(&cm, origin), nil
	}
	return config.FromFile(file, text, origin), nil
}

// explain returns a headline and one line an error.
func explain(err error) []string {
	var all config.Errors
	if !errors.As(err, &all) {
		return []string{"the policy is invalid: " + err.Error()}
	}
	lines := []string{fmt.Sprintf("the policy is invalid (%d errors):", len(all))}
	for _, one := range all {
		lines = append(lines, one.Error())
	}
	return lines
}
