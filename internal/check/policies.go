package check

import (
	"errors"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
)

// checkPolicies validates the cluster's policy, and that of every namespace that has one.
func (c *checker) checkPolicies() {
	documents, err := cluster.PolicyDocuments(c.ctx, c.Reader, c.ReleaseNamespace, config.OriginCluster)
	if err != nil {
		c.unreadable("the cluster's policy", err)
		return
	}
	c.policies = inject.NewPolicies(documents, nil, c.look)
	if errors.Is(c.policies.Err(), config.ErrNoClusterPolicy) {
		c.add(Fail, install, "the cluster has no policy: %v", c.policies.Err())
		return
	}
	c.problems("the cluster's policy", c.policies)
	for _, field := range c.policies.Ignored() {
		c.add(Warn, "Run the version of the webhook that the chart installs.", "the cluster's policy: %s is not known to this version, and ignored", field.Path)
	}
	var list corev1.ConfigMapList
	options := []client.ListOption{client.MatchingFields{"metadata.name": config.ConfigMapName}}
	if c.Namespace != "" {
		options = append(options, client.InNamespace(c.Namespace))
	}
	if err := c.Reader.List(c.ctx, &list, options...); err != nil {
		c.unreadable("the policies of namespaces", err)
		return
	}
	for i := range list.Items {
		if cm := &list.Items[i]; cm.Namespace != c.ReleaseNamespace {
			c.problems("the policy of namespace "+cm.Namespace, c.policies.With(config.FromConfigMap(cm, config.OriginNamespace)))
		}
	}
}

func (c *checker) problems(what string, policies *inject.Policies) {
	problems := policies.Problems()
	if len(problems) == 0 {
		c.ok("%s is valid", what)
		return
	}
	var lines []string
	for _, problem := range problems {
		lines = append(lines, problem.Error())
	}
	c.add(Fail, "Correct it; dagger-inject lint says the same before it is applied.", "%s is invalid: %s", what, strings.Join(lines, "; "))
}

// lookup is one that a policy made for an engine.
type lookup struct {
	namespace string
	found     *engine.Discovered
	err       error
}

// look finds engines for policies, and remembers what was looked for.
func (c *checker) look(namespace string, selector labels.Selector) (*engine.Discovered, error) {
	found, err := c.engines.Discover(namespace, selector)
	if c.lookups == nil {
		c.lookups = map[string]lookup{}
	}
	c.lookups[namespace+" "+selector.String()] = lookup{namespace, found, err}
	return found, err
}

// checkEngines tells of each engine that policies look for, and of its ready pods.
func (c *checker) checkEngines() {
	if c.policies == nil {
		return
	}
	if len(c.lookups) == 0 {
		c.ok("none is looked for: the policy names what pods are given")
	}
	for _, key := range slices.Sorted(maps.Keys(c.lookups)) {
		c.checkEngine(c.lookups[key])
	}
}

func (c *checker) checkEngine(l lookup) {
	switch {
	case c.engines.Err(l.namespace) != nil:
		c.unreadable("the engines of namespace "+l.namespace, c.engines.Err(l.namespace))
		return
	case l.err != nil:
		c.add(Warn, "Install the Dagger Helm chart there, or name an engine in the policy.", "%v", l.err)
		return
	}
	version := l.found.Version
	if version == "" {
		version = "of an unknown version (" + l.found.Image + ")"
	}
	pods, err := c.engines.Pods(l.namespace, l.found.Workload.String())
	if err != nil {
		c.unreadable("the pods of "+l.found.Workload.String(), err)
		return
	}
	ready := len(slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return !cluster.IsReady(&p) }))
	if ready == 0 {
		c.add(Fail, "See kubectl describe pods in namespace "+l.namespace+".", "%s %s: none of %s is ready", l.found.Workload, version, plural(len(pods), "pod"))
		return
	}
	c.ok("%s %s: %d of %s ready", l.found.Workload, version, ready, plural(len(pods), "pod"))
}
