package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// reservedEnv are the variables that an injected container gets from the transport and the CLI delivery, or that would
// defeat them (facts of dagger's engine/client: the mere presence of DAGGER_CLOUD_ENGINE overrides the runner host).
var reservedEnv = map[string]string{
	"_EXPERIMENTAL_DAGGER_RUNNER_HOST": "it is what the transport sets: use engine.socket or engine.tcp",
	"DAGGER_NODE_IP":                   "it is what the transport node-tcp sets: use engine.nodeTCP",
	"_EXPERIMENTAL_DAGGER_CLI_BIN":     "it is what the CLI's delivery sets: use cli.path",
	"DAGGER_CLOUD_ENGINE":              "its mere presence makes the client ignore the engine that the transport names",
}

// reserved returns why a variable may not be in a policy's env.
func reserved(name string) (why string, is bool) {
	if strings.HasPrefix(name, "DAGGER_SESSION_") {
		return "it belongs to a running session", true
	}
	why, is = reservedEnv[name]
	return why, is
}

// imageReference is what the kubelet can pull: an optional registry with its port, a repository, a tag, a digest.
var imageReference = regexp.MustCompile(`^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?$`)

func (v *validator) cli(c *CLI) {
	v.oneOf("cli.delivery", string(c.Delivery), string(DeliveryAuto), string(DeliveryInitContainer),
		string(DeliveryImageVolume), string(DeliveryNone))
	v.absolute("cli.path", c.Path)
	v.image("cli.image", c.Image)
	v.resources("cli.resources", &c.Resources)
}

// The bounds of wait.timeout: a runner's slot is taken all the while.
const (
	shortestTimeout = time.Second
	longestTimeout  = time.Hour
)

func (v *validator) wait(w *Wait) {
	if t, err := w.Timeout.Duration(); w.Timeout != TimeoutAuto && (err != nil || t < shortestTimeout || t > longestTimeout) {
		v.fail("wait.timeout", "want auto, or a duration from 1s to 1h, got %.60q", w.Timeout)
	}
	v.oneOf("wait.when", string(w.When), string(WhenStart), string(WhenUse))
	v.oneOf("wait.onTimeout", string(w.OnTimeout), string(OnTimeoutFail), string(OnTimeoutContinue))
	v.image("wait.image", w.Image)
	if w.ImagePullSecret != "" {
		v.all("wait.imagePullSecret", validation.IsDNS1123Subdomain(w.ImagePullSecret))
	}
	v.resources("wait.resources", &w.Resources)
}

// image accepts an image reference, or none.
func (v *validator) image(at, image string) {
	if image != "" && !imageReference.MatchString(image) {
		v.fail(at, "want an image reference, as in registry.dagger.io/engine:v0.21.8, got %.100q", image)
	}
}

// resources are those of an init container of ours.
func (v *validator) resources(at string, r *corev1.ResourceRequirements) {
	if len(r.Claims) > 0 {
		v.fail(at+".claims", "not accepted for an init container that is added")
	}
	v.quantities(at+".requests", r.Requests)
	v.quantities(at+".limits", r.Limits)
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request := r.Requests[name]
		if limit, both := r.Limits[name]; both && limit.Cmp(request) != 0 {
			v.fail(at+".limits."+string(name),
				"must equal the request, %s, so that a Guaranteed pod stays Guaranteed; got %s", request.String(), limit.String())
		}
	}
}

// SpareFolder is the folder in containers for what finds its usual path taken; where that is taken too, a number follows it.
const SpareFolder = "/dagger-inject"

// OwnFolder is where containers have the certificates of the transport tls, and a runner the template for its jobs' pods.
const OwnFolder = "/etc/dagger-inject"

// CLIImagePath is where an image volume with the CLI is mounted in containers.
const CLIImagePath = "/opt/dagger/bin"

// ProgramImagePath is where this program's own image is mounted in containers that wait for the engine when dagger is used.
const ProgramImagePath = "/opt/dagger/inject"

func (v *validator) quantities(at string, list corev1.ResourceList) {
	for _, name := range slices.Sorted(maps.Keys(list)) {
		quantity := list[name]
		path := joinPath(at, string(name))
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		default:
			v.fail(path, "accepted are cpu, memory and ephemeral-storage")
		}
		if quantity.Sign() <= 0 {
			v.fail(path, "want more than zero, got %s", quantity.String())
		}
	}
}

// maxEnvBytes bounds what every injected container gets, and so what a small pod can be made to grow by.
const maxEnvBytes = 32 << 10

func (v *validator) env(at string, env []corev1.EnvVar) {
	v.atMost(at, len(env), 256)
	seen := map[string]bool{}
	bytes := 0
	for i, e := range env {
		bytes += len(e.Name) + len(e.Value)
		path := fmt.Sprintf("%s[%d]", at, i)
		v.all(path+".name", validation.IsEnvVarName(e.Name))
		if why, is := reserved(e.Name); is {
			v.fail(path+".name", "%s cannot be set here: %s", e.Name, why)
		}
		if seen[e.Name] {
			v.fail(path+".name", "%.100q is listed twice", e.Name)
		}
		seen[e.Name] = true
		if e.ValueFrom == nil {
			continue
		}
		if e.Value != "" {
			v.fail(path, "value and valueFrom exclude each other")
		}
		v.envSource(path+".valueFrom", e.ValueFrom)
	}
	if bytes > maxEnvBytes {
		v.fail(at, "its names and values have %d bytes, more than the %d accepted in all: each injected container gets them", bytes, maxEnvBytes)
	}
}

func (v *validator) envSource(at string, s *corev1.EnvVarSource) {
	sources := 0
	key := func(field, name, key string) {
		sources++
		v.all(at+"."+field+".name", validation.IsDNS1123Subdomain(name))
		v.all(at+"."+field+".key", validation.IsConfigMapKey(key))
	}
	if s.SecretKeyRef != nil {
		key("secretKeyRef", s.SecretKeyRef.Name, s.SecretKeyRef.Key)
	}
	if s.ConfigMapKeyRef != nil {
		key("configMapKeyRef", s.ConfigMapKeyRef.Name, s.ConfigMapKeyRef.Key)
	}
	if s.FieldRef != nil {
		sources++
		if s.FieldRef.APIVersion != "" {
			v.oneOf(at+".fieldRef.apiVersion", s.FieldRef.APIVersion, "v1")
		}
		v.fieldRef(at+".fieldRef.fieldPath", s.FieldRef.FieldPath)
	}
	if s.ResourceFieldRef != nil || s.FileKeyRef != nil {
		v.fail(at, "accepted are secretKeyRef, configMapKeyRef and fieldRef")
		return
	}
	if sources != 1 {
		v.fail(at, "want exactly one of secretKeyRef, configMapKeyRef and fieldRef, got %d", sources)
	}
}

// fieldRef accepts what the API server's validation accepts in a container's environment.
func (v *validator) fieldRef(at, fieldPath string) {
	switch fieldPath {
	case "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs":
		return
	}
	for _, prefix := range []string{"metadata.labels['", "metadata.annotations['"} {
		if rest, ok := strings.CutPrefix(fieldPath, prefix); ok {
			if key, closed := strings.CutSuffix(rest, "']"); closed && len(validation.IsQualifiedName(strings.ToLower(key))) == 0 {
				return
			}
		}
	}
	v.fail(at, "%.100q is not a field that a container's environment can take: see the downward API, as in metadata.name or status.hostIP",
		fieldPath)
}

func (v *validator) secretRef(at string, t CloudToken) {
	if t.SecretName != "" {
		v.all(at+".secretName", validation.IsDNS1123Subdomain(t.SecretName))
	}
	if t.Key != "" {
		v.all(at+".key", validation.IsConfigMapKey(t.Key))
	}
	if (t.SecretName == "") != (t.Key == "") {
		v.fail(at, "secretName and key go together")
	}
}
