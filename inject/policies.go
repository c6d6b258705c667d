package inject

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/dagger-inject/dagger-inject/config"
)

// Policies is every policy that holds in a namespace: the default one and the profiles that a pod may choose. It is never
// changed after it was made, and is safe for concurrent use.
type Policies struct {
	cluster, namespace *config.Documents
	engines            Engines
	standard           *Policy            // that of config.DefaultProfile
	profiles           map[string]*Policy // the others, nil for none
	ignored            config.Errors
	ownNamespace       bool // a policy looks for the engine in the pod's own namespace
	envBytes           int  // of the profile whose env is largest
	cacheNodes         int  // of the profile that prefers most
}

// NewPolicies layers and compiles the cluster's documents and a namespace's, nil for none, with what is known of engines. It
// always returns Policies. Under an invalid policy every pod that asks ends with ReasonPolicyInvalid: it is never replaced by an older
// or laxer one.
func NewPolicies(cluster, namespace *config.Documents, engines Engines) *Policies {
	return newPolicies(cluster, namespace, engines, &Policies{standard: &Policy{}})
}

// With returns what NewPolicies does for the same cluster's documents and engines and a namespace's documents. It shares memory
// with p.
func (p *Policies) With(namespace *config.Documents) *Policies {
	return newPolicies(p.cluster, namespace, p.engines, p)
}

func newPolicies(cluster, namespace *config.Documents, engines Engines, like *Policies) *Policies {
	p := &Policies{cluster: cluster, namespace: namespace, engines: engines}
	p.standard = p.resolve(config.DefaultProfile, like.standard)
	p.envBytes, p.cacheNodes = p.standard.envBytes, p.standard.cacheNodes()
	for _, name := range append(cluster.Profiles(), namespace.Profiles()...) {
		if p.profile(name) != nil {
			continue
		}
		if p.profiles == nil {
			p.profiles = map[string]*Policy{}
		}
		p.profiles[name] = p.resolve(name, cmp.Or(like.profiles[name], p.standard))
		p.envBytes, p.cacheNodes = max(p.envBytes, p.profiles[name].envBytes), max(p.cacheNodes, p.profiles[name].cacheNodes())
	}
	return p
}

// profile returns the policy of that name, nil for none.
func (p *Policies) profile(name string) *Policy {
	if name == config.DefaultProfile {
		return p.standard
	}
	return p.profiles[name]
}

// names returns the names of all profiles, sorted.
func (p *Policies) names() []string {
	names := append(slices.Collect(maps.Keys(p.profiles)), config.DefaultProfile)
	slices.Sort(names)
	return names
}

// resolve compiles one profile. It shares memory with the policy like.
func (p *Policies) resolve(profile string, like *Policy) *Policy {
	cluster, namespace := p.cluster, p.namespace
	source := "none"
	if cluster != nil {
		source = cluster.Source
	}
	if namespace != nil {
		source = namespace.Source
	}
	if profile != config.DefaultProfile {
		source += ", profile " + profile
	}
	effective, err := config.Resolve(cluster, namespace, profile)
	if err == nil {
		for _, field := range effective.Ignored {
			if !slices.Contains(p.ignored, field) {
				p.ignored = append(p.ignored, field)
			}
		}
		p.ownNamespace = p.ownNamespace || effective.Policy.Engine.Discover.OwnNamespace
		return newPolicy(effective, p.engines, source, like)
	}
	// A bad policy of a namespace follows the cluster's onError and its rules for namespaces; a bad one of the cluster's
	// follows auto.
	invalid := &Policy{source: source, err: err, settings: &settings{onError: config.OnErrorAuto}}
	if namespace != nil {
		own, err := config.Resolve(cluster, nil, profile)
		if err != nil {
			own, err = config.Resolve(cluster, nil, config.DefaultProfile)
		}
		if err == nil {
			invalid.settings = newSettings(own.Policy)
		}
	}
	return invalid
}

// Problems returns what is wrong with the policies of all profiles, each problem once. If the namespace has documents, it leaves out
// what is wrong with the cluster's alone, which the namespace's owner cannot correct.
func (p *Policies) Problems() config.Errors {
	var problems config.Errors
	seen := map[config.FieldError]bool{}
	for _, name := range p.names() {
		if p.namespace != nil {
			_, err := config.Resolve(p.cluster, nil, name)
			for _, one := range asErrors(err) {
				seen[one] = true
			}
		}
		for _, one := range asErrors(p.profile(name).err) {
			if !seen[one] {
				problems = append(problems, one)
			}
			seen[one] = true
		}
	}
	return problems
}

// asErrors returns the errors of a policy one by one.
func asErrors(err error) config.Errors {
	var all config.Errors
	if err == nil || errors.As(err, &all) {
		return all
	}
	return config.Errors{{Problem: err.Error()}}
}

// Ignored returns the fields that this program does not know and left out, as the policy was written for a newer one.
func (p *Policies) Ignored() config.Errors { return p.ignored }

// Err returns what is wrong with the default policy, nil for nothing.
func (p *Policies) Err() error { return p.standard.err }

// MostAdded returns an upper bound on the bytes that Decide adds to a pod with that many containers, whatever its profile.
func (p *Policies) MostAdded(containers int) int {
	const fixed = 4 << 10 // what a container and the pod get besides env
	return min(maxAdded, fixed+p.cacheNodes*maxNodePreference+min(containers, maxTargets)*(fixed+p.envBytes))
}

// choose returns the policy that a pod's annotation chooses.
func (p *Policies) choose(pod *pod) (policy *Policy, _ *obstacle) {
	policy = p.standard
	name, chosen := pod.annotation(AnnotationPolicy)
	if !chosen || policy.err != nil {
		return policy, nil
	}
	if !policy.podMaySet(config.FieldProfile) {
		return nil, notForPods(AnnotationPolicy, config.FieldProfile)
	}
	if policy = p.profile(name); policy == nil {
		_, err := config.Resolve(p.cluster, p.namespace, name)
		return nil, obstructf(ReasonAnnotationInvalid, "%s: %v", AnnotationPolicy, err)
	}
	return policy, nil
}
