package chartdoc

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rules say what a value accepts if its default does not show it. A mapping that is named here is one value.
var rules = map[string]schema{
	"fullnameOverride":       {"type": "string", "pattern": `^$|^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$`},
	"replicas":               {"type": "integer", "minimum": 1},
	"image.repository":       {"type": "string", "minLength": 1},
	"image.digest":           {"type": "string", "pattern": "^$|^sha256:[a-f0-9]{64}$"},
	"image.pullPolicy":       oneOf("Always", "IfNotPresent", "Never"),
	"imagePullSecrets":       of[[]corev1.LocalObjectReference](),
	"policy":                 policyRef,
	"profiles":               {"type": "object", "additionalProperties": policyRef, "maxProperties": 15, "propertyNames": profileName},
	"engineNamespaces":       listOf(namespace),
	"webhook.port":           port,
	"service.port":           port,
	"service.annotations":    texts,
	"service.ipFamilyPolicy": oneOf("", "SingleStack", "PreferDualStack", "RequireDualStack"),

	"webhook.timeoutSeconds":          {"type": "integer", "minimum": 1, "maximum": 30},
	"webhook.excludedNamespaces":      listOf(namespace),
	"webhook.failurePolicy.pod":       oneOf("Fail", "Ignore"),
	"webhook.failurePolicy.namespace": oneOf("Fail", "Ignore"),
	"webhook.failurePolicy.policy":    oneOf("Fail", "Ignore"),
	"webhook.annotations":             texts,

	"certificates.mode":        oneOf("cert-manager", "existingSecret"),
	"certificates.issuer.kind": {"type": "string", "minLength": 1},
	"certificates.duration":    duration,
	"certificates.renewBefore": duration,
	"certificates.caDuration":  duration,

	"dnsPolicy":                          oneOf("", "ClusterFirst", "ClusterFirstWithHostNet", "Default"),
	"resources":                          of[corev1.ResourceRequirements](),
	"podSecurityContext":                 of[corev1.PodSecurityContext](),
	"securityContext":                    of[corev1.SecurityContext](),
	"topologySpreadConstraints":          of[[]corev1.TopologySpreadConstraint](),
	"nodeSelector":                       texts,
	"tolerations":                        of[[]corev1.Toleration](),
	"affinity":                           of[corev1.Affinity](),
	"podDisruptionBudget.maxUnavailable": {"type": []string{"integer", "string"}, "minimum": 0, "pattern": "^[0-9]+%$"},
	"terminationGracePeriodSeconds":      {"type": "integer", "minimum": 1},
	"preStopSleepSeconds":                {"type": "integer", "minimum": 1},

	"serviceAccount.annotations": texts,
	"policyReaders":              of[[]rbacv1.Subject](),
	"logLevel":                   oneOf("debug", "info", "warn", "error"),
	"extraArgs":                  listOf(schema{"type": "string", "pattern": "^--"}),
	"extraEnv":                   of[[]corev1.EnvVar](),
	"commonLabels":               texts,
	"commonAnnotations":          texts,
	"podLabels":                  texts,
	"podAnnotations":             texts,

	"probes.port":                     port,
	"metrics.port":                    port,
	"metrics.serviceMonitor.interval": {"type": "string", "pattern": "^$|^([0-9]+(ms|s|m|h))+$"},
	"metrics.serviceMonitor.labels":   texts,
	"metrics.prometheusRule.labels":   texts,
	"metrics.dashboard.labels":        texts,

	"engineNetworkPolicy.port":        port,
	"engineNetworkPolicy.podSelector": of[metav1.LabelSelector](),
	"engineNetworkPolicy.openPorts":   listOf(port),

	"notInjectedPolicy.actions": {"type": "array", "minItems": 1, "uniqueItems": true, "items": oneOf("Warn", "Audit")},
	"check.namespace":           namespace,
	"check.timeout":             duration,
}

var (
	policyRef = schema{"$ref": "#/definitions/policy"}
	// profileName is what may stand before .yaml in a ConfigMap's key. The default profile is the value policy.
	profileName = schema{"pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "not": schema{"const": "policy"}}
	port        = schema{"type": "integer", "minimum": 1, "maximum": 65535}
	namespace   = schema{"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
	// duration matches a Go duration.
	duration = schema{"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$"}
	texts    = schema{"type": "object", "additionalProperties": schema{"type": "string"}}
)

func oneOf(values ...any) schema { return schema{"type": "string", "enum": values} }

func listOf(items schema) schema { return schema{"type": "array", "items": items} }
