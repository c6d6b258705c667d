package chart

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/webhook"
)

// TestPoliciesAreValid has the program read what the chart writes.
func TestPoliciesAreValid(t *testing.T) {
	for name, set := range cases(t) {
		cm := named[*corev1.ConfigMap](t, objects(t, set), config.ConfigMapName)
		require.Equal(t, namespace, cm.Namespace)
		require.Equal(t, strconv.Itoa(config.SchemaRevision), cm.Annotations[config.AnnotationSchemaRevision],
			"the stamp in templates/policy.yaml is config.SchemaRevision")
		documents := config.FromConfigMap(cm, config.OriginCluster)
		require.NotEmpty(t, documents.Profiles())
		for _, profile := range documents.Profiles() {
			_, err := config.Resolve(documents, nil, profile)
			require.NoError(t, err, "%s: %s:\n%s", name, profile, cm.Data[profile+".yaml"])
		}
	}
}

func TestPolicyIsWhatTheValuesSay(t *testing.T) {
	rendered := objects(t, cases(t)["everything"])
	documents := config.FromConfigMap(named[*corev1.ConfigMap](t, rendered, config.ConfigMapName), config.OriginCluster)
	image := one[*appsv1.Deployment](t, rendered).Spec.Template.Spec.Containers[0].Image

	effective, err := config.Resolve(documents, nil, config.DefaultProfile)
	require.NoError(t, err)
	require.Equal(t, "engines", effective.Policy.Engine.Discover.Namespace)
	require.EqualValues(t, 2147483647, effective.Policy.Engine.Socket.Group, "Helm keeps numbers as fractions")
	require.Equal(t, image, effective.Policy.Wait.Image, "what waits is the program's own image")
	require.Equal(t, "registry", effective.Policy.Wait.ImagePullSecret)

	effective, err = config.Resolve(documents, nil, "large")
	require.NoError(t, err)
	require.Equal(t, config.TransportTCP, effective.Policy.Engine.Transport)
	require.Equal(t, "large", effective.Policy.Engine.Discover.Namespace)
	require.Equal(t, image, effective.Policy.Wait.Image)
}

func TestTheImageOfTheWaitCanBeChosen(t *testing.T) {
	for set, want := range map[string]string{
		"policy: {wait: {image: ''}}":                           "image: \"\"",
		"policy: {wait: {image: mine:v1}}\nimage: {tag: other}": "image: mine:v1",
		"policy: {wait: null}\nimage: {tag: other}":             "image: ghcr.io/dagger-inject/dagger-inject:other",
		"policy: {apiVersion: inject.dagger.io/v1alpha1}":       "image: ghcr.io/dagger-inject/dagger-inject:v",
	} {
		cm := named[*corev1.ConfigMap](t, objects(t, parse(t, set)), config.ConfigMapName)
		require.Contains(t, cm.Data["policy.yaml"], want)
	}
}

// TestAlertsAndDashboardUseMetricsThatThereAre asks the program's registry.
func TestAlertsAndDashboardUseMetricsThatThereAre(t *testing.T) {
	registry := prometheus.NewRegistry()
	webhook.NewMetrics(registry)
	known := map[string]bool{}
	descriptions := make(chan *prometheus.Desc, 100)
	registry.Describe(descriptions)
	close(descriptions)
	for description := range descriptions {
		known[regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(description.String())[1]] = true
	}
	// These are registered with what they are about.
	known["dagger_inject_certificate_expiry_timestamp_seconds"] = true
	known["dagger_inject_cache_affinity_nodes"] = true

	rendered := objects(t, cases(t)["everything"])
	var expressions []string
	for _, group := range one[*monitoringv1.PrometheusRule](t, rendered).Spec.Groups {
		for _, rule := range group.Rules {
			expressions = append(expressions, rule.Expr.String())
			require.Contains(t, rule.Expr.String(), fmt.Sprintf("namespace=%q", namespace), rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		}
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	require.NoError(t, json.Unmarshal([]byte(named[*corev1.ConfigMap](t, rendered, "inject-dashboard").Data["dagger-inject.json"]),
		&dashboard))
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	used := map[string]bool{}
	for _, expression := range expressions {
		for _, metric := range regexp.MustCompile(`dagger_inject_\w+`).FindAllString(expression, -1) {
			used[strings.TrimSuffix(metric, "_bucket")] = true
		}
	}
	require.Equal(t, known, used, "each metric is shown or watched, and no other")
}

func TestNotesNameTheNextCommand(t *testing.T) {
	for name, secrets := range map[string]string{
		"default":         "kubectl delete secret -n dagger-inject dagger-inject-tls dagger-inject-ca\n",
		"everything":      "kubectl delete secret -n dagger-inject inject-serving inject-ca\n",
		"existing-issuer": "kubectl delete secret -n dagger-inject dagger-inject-tls\n",
		"existing-secret": "",
	} {
		rendered, err := render4(cases(t)[name])
		require.NoError(t, err)
		require.Contains(t, rendered[notes], "kubectl label namespace NAMESPACE dagger.io/inject=true", name)
		require.Contains(t, rendered[notes], secrets, name)
		require.Equal(t, secrets != "", strings.Contains(rendered[notes], "delete secret"), name)
	}
}
