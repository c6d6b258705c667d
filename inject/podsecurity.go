package inject

import "github.com/dagger-inject/dagger-inject/config"

const (
	labelEnforce = "pod-security.kubernetes.io/enforce"
	// annotationUIDRange is set by OpenShift on its projects, whose pods get their uid from a SecurityContextConstraint.
	annotationUIDRange = "openshift.io/sa.scc.uid-range"
)

// NamespaceAnnotations are the only annotations of a namespace that decisions read: a cache need not keep others.
var NamespaceAnnotations = []string{annotationUIDRange, linkerdInject}

// isOpenShift reports whether the namespace's pods get their uid and seccomp profile from a SecurityContextConstraint.
func (ns *Namespace) isOpenShift() bool {
	_, ok := ns.Annotations[annotationUIDRange]
	return ok
}

// forbidsHostPath returns what would refuse a pod with a hostPath volume in the namespace, or empty. Pod Security admission
// runs after mutation and answers 403, and a runner controller then gives its runner up for good: such a pod must not be
// created.
func (ns *Namespace) forbidsHostPath(policy config.PodSecurity) string {
	level, labelled := ns.Labels[labelEnforce]
	switch {
	case labelled && level != string(config.PodSecurityPrivileged):
		// An unknown value is enforced as restricted (k8s.io/pod-security-admission, api.PolicyToEvaluate).
		return "the namespace's label " + labelEnforce + "=" + level
	case !labelled && policy.Default != config.PodSecurityPrivileged:
		return "the policy's podSecurity.default, " + string(policy.Default)
	case ns.isOpenShift():
		return "the SecurityContextConstraints of OpenShift (annotation " + annotationUIDRange + ")"
	}
	return ""
}
