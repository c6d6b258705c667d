package config

import (
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// validator gathers what is wrong with a policy whose types are right. What it lets through, the API server accepts in a
// pod: a patch that validation refuses would burn a runner's slot.
type validator struct{ errs Errors }

func (v *validator) fail(path, format string, args ...any) {
	v.errs = append(v.errs, FieldError{Path: path, Problem: fmt.Sprintf(format, args...)})
}

func validate(p *InjectionPolicy) Errors {
	v := &validator{}
	v.engine(&p.Engine)
	v.scheduling(&p.Scheduling)
	v.cli(&p.CLI)
	v.apart("engine.socket.mountPath", p.Engine.Socket.MountPath, "cli.path", p.CLI.Path)
	v.notSpare("engine.socket.mountPath", p.Engine.Socket.MountPath)
	v.notSpare("cli.path", p.CLI.Path)
	v.apart("engine.socket.mountPath", p.Engine.Socket.MountPath, "the certificates and templates", OwnFolder)
	v.apart("cli.path", p.CLI.Path, "the certificates and templates", OwnFolder)
	v.wait(&p.Wait)
	if p.CLI.Delivery == DeliveryImageVolume || Permits(p.Overrides.FromPods, "cli.delivery") {
		v.apart("engine.socket.mountPath", p.Engine.Socket.MountPath, "the CLI's image volume", CLIImagePath)
	}
	if p.Wait.When == WhenUse {
		v.apart("engine.socket.mountPath", p.Engine.Socket.MountPath, "the volume with the program that waits", ProgramImagePath)
		v.apart("cli.path", p.CLI.Path, "the volume with the program that waits", ProgramImagePath)
	}
	v.globs("containers.include", p.Containers.Include)
	v.globs("containers.exclude", p.Containers.Exclude)
	v.env("env", p.Env)
	v.secretRef("cloudToken", p.CloudToken)
	if p.CloudToken.SecretName != "" && slices.ContainsFunc(p.Env, func(e corev1.EnvVar) bool { return e.Name == "DAGGER_CLOUD_TOKEN" }) {
		v.fail("cloudToken", "env sets DAGGER_CLOUD_TOKEN too: leave one out")
	}
	v.oneOf("onError", string(p.OnError), string(OnErrorAuto), string(OnErrorRefuse), string(OnErrorAdmit))
	v.labelSelector("namespaces.selector", p.Namespaces.Selector)
	v.oneOf("namespaces.podLabel", string(p.Namespaces.PodLabel), string(PodLabelAllow), string(PodLabelRequireNamespaceLabel))
	v.overrides(&p.Overrides)
	v.oneOf("podSecurity.default", string(p.PodSecurity.Default),
		string(PodSecurityPrivileged), string(PodSecurityBaseline), string(PodSecurityRestricted))
	return v.errs
}

func (v *validator) header(p *InjectionPolicy) {
	v.oneOf("apiVersion", p.APIVersion, APIVersion)
	v.oneOf("kind", p.Kind, Kind)
}

func (v *validator) oneOf(path, value string, accepted ...string) {
	if slices.Contains(accepted, value) {
		return
	}
	named := slices.DeleteFunc(slices.Clone(accepted), func(s string) bool { return s == "" })
	if value == "" {
		v.fail(path, "missing: accepted is %s", strings.Join(named, ", "))
		return
	}
	v.fail(path, "%.60q is not accepted: accepted is %s", value, strings.Join(named, ", "))
}

func (v *validator) all(path string, problems []string) {
	for _, problem := range problems {
		v.fail(path, "%s", problem)
	}
}

// maxPath is far more than any path here needs: each container gets some of them.
const maxPath = 1024

// absolute refuses what the kubelet or the API server would refuse in a hostPath or mountPath.
func (v *validator) absolute(at, p string) {
	switch {
	case p == "":
		v.fail(at, "missing: want an absolute path")
	case !strings.HasPrefix(p, "/"):
		v.fail(at, "want an absolute path, got %.100q", p)
	case slices.Contains(strings.Split(p, "/"), ".."):
		v.fail(at, "must not contain .., got %.100q", p)
	case len(p) > maxPath:
		v.fail(at, "want at most %d bytes, got %d", maxPath, len(p))
	case path.Clean(p) != p || p == "/":
		v.fail(at, "want a plain path below /, as in %q, got %.100q", "/run/dagger", p)
	case strings.ContainsFunc(p, func(r rune) bool { return r == ':' || unicode.IsControl(r) }):
		v.fail(at, "must not contain a colon or a control character, got %.100q", p)
	}
}

func (v *validator) address(at, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		v.fail(at, "want host:port, as in dagger-engine.ci.svc:2555, got %.100q", address)
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < 1 {
		v.fail(at, "want a port from 1 to 65535, got %.60q", port)
	}
	if strings.HasPrefix(address, "[") && !strings.Contains(host, ":") {
		v.fail(at, "brackets are for IPv6 addresses only, got %.100q", address)
	}
	if net.ParseIP(host) == nil && len(validation.IsDNS1123Subdomain(strings.ToLower(host))) > 0 {
		v.fail(at, "want a DNS name or an IP address before the port, got %.100q", host)
	}
}

// apart refuses two mounts of which one would be in the other.
func (v *validator) apart(a, pathA, b, pathB string) {
	if strings.HasPrefix(pathA+"/", pathB+"/") || strings.HasPrefix(pathB+"/", pathA+"/") {
		v.fail(a, "%.100q and %s, %.100q, must lie apart: both are mounted", pathA, b, pathB)
	}
}

// maxSocketFile leaves room for the spare folder in the 107 bytes that a Unix socket's path can have.
const maxSocketFile = 80

// notSpare refuses a path where things are put whose own is taken.
func (v *validator) notSpare(at, p string) {
	if strings.HasPrefix(p, SpareFolder) {
		v.fail(at, "must not begin with %s, where a container has what finds its own path taken; got %.100q", SpareFolder, p)
	}
}

func (v *validator) scheduling(s *Scheduling) {
	v.atMost("scheduling.tolerations", len(s.Tolerations), 64)
	for i, t := range s.Tolerations {
		v.toleration(fmt.Sprintf("scheduling.tolerations[%d]", i), t)
	}
	v.atMost("scheduling.nodeSelector", len(s.NodeSelector), 64)
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		value := s.NodeSelector[key]
		at := joinPath("scheduling.nodeSelector", key)
		v.all(at, validation.IsQualifiedName(key))
		v.all(at, validation.IsValidLabelValue(value))
	}
	if required := s.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		at := "scheduling.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
		if n := len(required.NodeSelectorTerms); n == 0 || n > 16 {
			v.fail(at, "want 1 to 16 terms, got %d", n)
		}
		for i, term := range required.NodeSelectorTerms {
			v.nodeSelectorTerm(fmt.Sprintf("%s[%d]", at, i), term)
		}
	}
	v.atMost("scheduling.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution",
		len(s.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution), 64)
	for i, preferred := range s.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		at := fmt.Sprintf("scheduling.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[%d]", i)
		if preferred.Weight < 1 || preferred.Weight > 100 {
			v.fail(at+".weight", "want 1 to 100, got %d", preferred.Weight)
		}
		v.nodeSelectorTerm(at+".preference", preferred.Preference)
	}
	v.cacheAffinity(&s.CacheAffinity)
}

func (v *validator) cacheAffinity(c *CacheAffinity) {
	const at = "scheduling.cacheAffinity."
	v.oneOf(at+"key", string(c.Key), string(CacheKeyAuto), string(CacheKeyProject), string(CacheKeyGroup))
	v.between(at+"nodes", c.Nodes, MostCacheNodes)
	v.between(at+"weight", c.Weight, 100)
	v.between(at+"lastWeight", c.LastWeight, 100)
	if c.LastWeight > c.Weight {
		v.fail(at+"lastWeight", "want at most scheduling.cacheAffinity.weight, which is %d, got %d", c.Weight, c.LastWeight)
	}
}

func (v *validator) between(at string, n, most int32) {
	if n < 1 || n > most {
		v.fail(at, "want 1 to %d, got %d", most, n)
	}
}

func (v *validator) toleration(at string, t corev1.Toleration) {
	if t.Key != "" {
		v.all(at+".key", validation.IsQualifiedName(t.Key))
	} else if t.Operator != corev1.TolerationOpExists {
		v.fail(at+".operator", "an empty key needs the operator Exists")
	}
	v.oneOf(at+".operator", string(t.Operator), "", string(corev1.TolerationOpExists), string(corev1.TolerationOpEqual))
	if t.Operator == corev1.TolerationOpExists && t.Value != "" {
		v.fail(at+".value", "must be empty with the operator Exists")
	}
	v.all(at+".value", validation.IsValidLabelValue(t.Value))
	v.oneOf(at+".effect", string(t.Effect), "", string(corev1.TaintEffectNoSchedule),
		string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute))
	if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
		v.fail(at+".tolerationSeconds", "needs the effect NoExecute")
	}
}

func (v *validator) nodeSelectorTerm(at string, term corev1.NodeSelectorTerm) {
	v.atMost(at, len(term.MatchExpressions)+len(term.MatchFields), 64)
	if len(term.MatchExpressions)+len(term.MatchFields) == 0 {
		v.fail(at, "an empty term matches no node")
	}
	for i, r := range term.MatchExpressions {
		path := fmt.Sprintf("%s.matchExpressions[%d]", at, i)
		v.requirement(path, r)
		for _, value := range r.Values {
			v.all(path+".values", validation.IsValidLabelValue(value))
		}
		v.all(path+".key", validation.IsQualifiedName(r.Key))
	}
	for i, r := range term.MatchFields {
		path := fmt.Sprintf("%s.matchFields[%d]", at, i)
		v.oneOf(path+".key", r.Key, metav1.ObjectNameField)
		v.oneOf(path+".operator", string(r.Operator), string(corev1.NodeSelectorOpIn), string(corev1.NodeSelectorOpNotIn))
		if len(r.Values) != 1 {
			v.fail(path+".values", "want exactly one value, got %d", len(r.Values))
			continue
		}
		v.all(path+".values[0]", validation.IsDNS1123Subdomain(r.Values[0]))
	}
}

func (v *validator) requirement(at string, r corev1.NodeSelectorRequirement) {
	v.atMost(at+".values", len(r.Values), 256)
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) == 0 {
			v.fail(at+".values", "the operator %s needs a value", r.Operator)
		}
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			v.fail(at+".values", "the operator %s takes no values", r.Operator)
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(r.Values) != 1 {
			v.fail(at+".values", "the operator %s needs exactly one value", r.Operator)
		} else if _, err := strconv.ParseInt(r.Values[0], 10, 64); err != nil {
			v.fail(at+".values", "the operator %s needs an integer, got %.60q", r.Operator, r.Values[0])
		}
	default:
		v.oneOf(at+".operator", string(r.Operator), "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
	}
}

func (v *validator) labelSelector(at string, s metav1.LabelSelector) {
	if _, err := metav1.LabelSelectorAsSelector(&s); err != nil {
		v.fail(at, "%v", err)
	}
}

// atMost bounds what every pod is compared with.
func (v *validator) atMost(at string, n, most int) {
	if n > most {
		v.fail(at, "want at most %d, got %d", most, n)
	}
}

func (v *validator) globs(at string, globs []string) {
	v.atMost(at, len(globs), 64)
	for i, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			v.fail(fmt.Sprintf("%s[%d]", at, i), "want a name or a pattern, as in build or step-*, got %.60q", glob)
		}
	}
}
