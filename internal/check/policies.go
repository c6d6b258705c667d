package check

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/config"
	"github.com/dagger-inject/dagger-inject/inject"
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
		c.add(Warn, "Run the version of the webhook that the chart installs.",
			"the cluster's policy: %s is not known to this version, and ignored", field.Path)
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
			c.refined[cm.Namespace] = c.policies.With(config.FromConfigMap(cm, config.OriginNamespace))
			c.problems("the policy of namespace "+cm.Namespace, c.refined[cm.Namespace])
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
