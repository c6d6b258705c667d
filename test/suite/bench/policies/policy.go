package main

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
)

// releaseNamespace has the cluster's policy.
const releaseNamespace = "dagger-inject"

// without is a namespace that has no policy of its own.
const without = "without-a-policy"

func namespaceName(i int) string { return fmt.Sprintf("team-%05d", i) }

func namespaceNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = namespaceName(i)
	}
	return names
}

// address is that of a namespace's engine. Each revision of a policy names another.
func address(namespace string, revision int) string {
	return fmt.Sprintf("dagger-engine-r%d.%s.svc:2555", revision, namespace)
}

// namespacePolicy is a policy as a team writes it, in one of three shapes. No two namespaces have the same.
func namespacePolicy(namespace string, revision int) string {
	head := fmt.Sprintf(`# The engines of %[1]s run in its own namespace, behind one Service.
apiVersion: inject.dagger.io/v1alpha1
kind: InjectionPolicy
engine:
  transport: tcp
  tcp:
    address: %[2]s
scheduling:
  tolerations:
  - {key: ci.example.com/team, operator: Equal, value: %[1]s, effect: NoSchedule}
`, namespace, address(namespace, revision))
	tails := []string{`  - {key: ci.example.com/spot, operator: Exists, effect: NoSchedule}
env:
- name: HTTPS_PROXY
  value: http://proxy.%[1]s.svc:3128
- name: NO_PROXY
  value: .svc,.cluster.local,10.0.0.0/8
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: http://collector.%[1]s.svc:4318
`, `  nodeSelector:
    ci.example.com/pool: large
env:
- name: OTEL_SERVICE_NAME
  value: %[1]s-ci
`, `containers:
  exclude: ["*-proxy"]
env:
- name: DAGGER_CLOUD_TOKEN
  valueFrom:
    secretKeyRef: {name: %[1]s-dagger-cloud, key: token}
`}
	return head + fmt.Sprintf(tails[int(namespace[len(namespace)-1])%len(tails)], namespace)
}

const builtInImage = "registry.dagger.io/engine:v0.21.8"

// clusterImage is the image with the CLI. Each revision of the cluster's policy names another.
func clusterImage(revision int) string {
	return fmt.Sprintf("registry.example.com/dagger/engine:v0.21.8-r%d", revision)
}

// placesByCache is whether the cluster's policy turns that on.
var placesByCache bool

// clusterPolicy is the built-in policy, as the chart renders it, with another image.
func clusterPolicy(revision int) string {
	text := strings.ReplaceAll(config.DefaultYAML(), builtInImage, clusterImage(revision))
	if placesByCache {
		text += "scheduling: {cacheAffinity: {enabled: true}}\n"
	}
	return text
}

// configMap is what "kubectl apply" sends: the object with a copy of itself in an annotation.
func configMap(namespace, document string) (*corev1.ConfigMap, error) {
	cm := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: config.ConfigMapName,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "gitops", "app.kubernetes.io/part-of": namespace},
		},
		Data: map[string]string{config.DefaultProfile + ".yaml": document},
	}
	applied, err := json.Marshal(cm)
	cm.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: string(applied)}
	return cm, err
}

// teamNamespace is a namespace as "kubectl apply" sends it.
func teamNamespace(name string) (*corev1.Namespace, error) {
	ns := &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				inject.LabelInject: "true", "app.kubernetes.io/managed-by": "gitops",
				"pod-security.kubernetes.io/warn": "baseline", "example.com/team": name,
			},
			Annotations: map[string]string{"example.com/owner": name + "@example.com"},
		},
	}
	applied, err := json.Marshal(ns)
	ns.Annotations[corev1.LastAppliedConfigAnnotation] = string(applied)
	return ns, err
}
