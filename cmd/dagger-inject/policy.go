package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	policyHelp = "file with the cluster's policy, or the ConfigMap with it " +
		"(default: the built-in policy, which fits the Dagger chart's default names)"
	namespacePolicyHelp = "file with the namespace's policy, or the ConfigMap with it"
)

// loadPolicies layers and compiles the policies in files. Engines is nil if none are known. An empty file name stands for the
// built-in policy, or for no policy of the namespace. Errors in the policies are bad input.
func loadPolicies(clusterFile, namespaceFile string, engines inject.Engines) (*inject.Policies, error) {
	with, err := readPolicies(clusterFile, namespaceFile)
	if err != nil {
		return nil, err
	}
	policies := with(engines)
	return policies, checkPolicies(policies)
}

// readPolicies reads what loadPolicies does, and returns a function that compiles it, for several sets of engines.
func readPolicies(clusterFile, namespaceFile string) (with func(inject.Engines) *inject.Policies, err error) {
	cluster, namespace := config.BuiltIn(), (*config.Documents)(nil)
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
	return func(engines inject.Engines) *inject.Policies { return inject.NewPolicies(cluster, namespace, engines) }, nil
}

// checkPolicies returns what is wrong with policies as bad input.
func checkPolicies(policies *inject.Policies) error {
	if err := policies.Err(); err != nil {
		return badInput{severalLines(policyErrors(err))}
	}
	return nil
}

// loadDocuments reads a policy document, or the ConfigMap with policy documents among the manifests of a file.
func loadDocuments(file string, origin config.Origin) (*config.Documents, error) {
	found, err := policyMaps(file, func(*corev1.ConfigMap) config.Origin { return origin })
	switch {
	case err != nil:
		return nil, err
	case len(found) > 1:
		return nil, badInputf("%s has %d ConfigMaps %s: want one", file, len(found), config.ConfigMapName)
	case len(found) == 1:
		return found[0], nil
	}
	return plainPolicy(file, origin)
}

// plainPolicy reads a file that is a policy document itself.
func plainPolicy(file string, origin config.Origin) (*config.Documents, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, badInputf("reading the policy: %w", err)
	}
	return config.FromFile(file, text, origin), nil
}

// policyMaps returns the policies of a file's ConfigMaps, or none if the file is a policy document or not even YAML. A manifest
// of other objects is an error: read as a policy, every field of it would be unknown.
func policyMaps(file string, origin func(*corev1.ConfigMap) config.Origin) ([]*config.Documents, error) {
	documents, err := readDocuments(file, nil)
	if err != nil {
		// Leave errors in a policy document to its own parser, which reports them better.
		return nil, nil
	}
	var found []*config.Documents
	other := ""
	for _, d := range documents {
		var list struct{ Items []json.RawMessage }
		objects := []json.RawMessage{d.json}
		if json.Unmarshal(d.json, &list) == nil && len(list.Items) > 0 {
			objects = list.Items
		}
		for _, object := range objects {
			var head metav1.PartialObjectMetadata
			if json.Unmarshal(object, &head) != nil {
				continue
			}
			if head.Kind != "ConfigMap" || head.Name != config.ConfigMapName {
				if head.Kind != "" && head.Kind != config.Kind && head.APIVersion != config.APIVersion {
					other = strings.TrimSpace(head.Kind + " " + head.Name)
				}
				continue
			}
			var cm corev1.ConfigMap
			if err := yaml.UnmarshalStrict(object, &cm); err != nil {
				return nil, badInputf("%s: %w", d.name, err)
			}
			found = append(found, config.FromConfigMap(&cm, origin(&cm)))
		}
	}
	if len(found) == 0 && other != "" {
		return nil, badInputf("%s: %s is no policy: want apiVersion: %s and kind: %s, or a ConfigMap %s",
			file, other, config.APIVersion, config.Kind, config.ConfigMapName)
	}
	return found, nil
}

// policyErrors returns a headline and one line an error.
func policyErrors(err error) []string {
	var all config.Errors
	if !errors.As(err, &all) {
		return []string{"the policy is invalid: " + err.Error()}
	}
	lines := []string{fmt.Sprintf("the policy is invalid (%d errors):", len(all))}
	for _, one := range all {
		lines = append(lines, "  "+one.Error())
	}
	return lines
}
