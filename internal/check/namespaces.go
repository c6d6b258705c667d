package check

import (
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// optedIn returns the checked namespaces that ask for injection.
func (c *checker) optedIn() ([]corev1.Namespace, error) {
	if c.Namespace != "" {
		// A user of a namespace may usually read it, but not list all namespaces.
		var ns corev1.Namespace
		err := c.Reader.Get(c.ctx, client.ObjectKey{Name: c.Namespace}, &ns)
		if err != nil || ns.Labels[inject.LabelInject] != inject.InjectTrue {
			return nil, err
		}
		return []corev1.Namespace{ns}, nil
	}
	var list corev1.NamespaceList
	err := c.Reader.List(c.ctx, &list, client.MatchingLabels{inject.LabelInject: inject.InjectTrue})
	return list.Items, err
}

// moreStorage is the remedy for limits of ephemeral-storage that are too low.
const moreStorage = "Raise the limit: " +
	"the kubelet evicts a pod whose containers and volumes use more of the disk than its containers may together."

// checkStorage looks for a LimitRange under which a container may use less of the disk than the copy of the CLI may.
func (c *checker) checkStorage(namespace string) {
	var ranges corev1.LimitRangeList
	if err := c.Reader.List(c.ctx, &ranges, client.InNamespace(namespace)); err != nil {
		c.unreadable("the LimitRanges of "+namespace, err)
		return
	}
	size := inject.CLISizeLimit()
	for i := range ranges.Items {
		for _, item := range ranges.Items[i].Spec.Limits {
			if item.Type != corev1.LimitTypeContainer {
				continue
			}
			for _, bound := range []struct {
				name string
				list corev1.ResourceList
			}{{"default", item.Default}, {"max", item.Max}} {
				if limit, set := bound.list[corev1.ResourceEphemeralStorage]; set && limit.Cmp(size) < 0 {
					c.add(Warn, moreStorage, "%s: the LimitRange %s has a %s of %s ephemeral-storage, "+
						"against which the copy of the dagger command counts (up to %s)",
						namespace, ranges.Items[i].Name, bound.name, limit.String(), size.String())
					break
				}
			}
		}
	}
}

// checkNamespaces explains what a CI job gets in every namespace that asks for injection.
func (c *checker) checkNamespaces() {
	list, err := c.optedIn()
	if apierrors.IsNotFound(err) {
		c.add(Fail, "Name an existing namespace with -n.", "there is no namespace %s", c.Namespace)
		return
	}
	if err != nil {
		c.unreadable("the namespaces", err)
		return
	}
	checked := 0
	for _, ns := range list {
		if checked++; checked > most {
			continue
		}
		level := ns.Labels["pod-security.kubernetes.io/enforce"]
		if level == "" {
			level = "not set"
		}
		about, err := c.explainer.Namespace(c.ctx, ns.Name)
		switch {
		case err != nil:
			c.unreadable("the namespace "+ns.Name, err)
		case about.Outcome() == explain.OutcomeInjected:
			c.ok("%s is opted in, Pod Security %s: a CI job is injected by %s", ns.Name, level, about.Unlabelled.Status.Transport)
		case about.Outcome() == explain.OutcomeUnknown:
			c.add(Warn, "dagger-inject explain namespace "+ns.Name, "%s is opted in, Pod Security %s: %s", ns.Name, level, about.Unlabelled.Message)
		default:
			c.add(Fail, "dagger-inject explain namespace "+ns.Name,
				"%s is opted in, Pod Security %s: a CI job is not injected: %s", ns.Name, level, about.Unlabelled.Message)
		}
		c.checkStorage(ns.Name)
	}
	switch {
	case checked > most:
		c.ok("%d more namespaces are opted in; -n checks one", checked-most)
	case checked == 0:
		c.ok("no namespace is opted in with the label %s=true", inject.LabelInject)
	}
}
