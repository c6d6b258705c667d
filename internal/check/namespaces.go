package check

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// checkNamespaces decides on a CI job in every namespace that asks for injection.
func (c *checker) checkNamespaces() {
	var list corev1.NamespaceList
	if err := c.Reader.List(c.ctx, &list, client.MatchingLabels{inject.LabelInject: "true"}); err != nil {
		c.unreadable("the namespaces", err)
		return
	}
	checked := 0
	for _, ns := range list.Items {
		if c.Namespace != "" && ns.Name != c.Namespace {
			continue
		}
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
			c.add(Fail, "dagger-inject explain namespace "+ns.Name, "%s is opted in, Pod Security %s: a CI job is not injected: %s", ns.Name, level, about.Unlabelled.Message)
		}
	}
	switch {
	case checked > most:
		c.ok("%d more namespaces are opted in; -n checks one", checked-most)
	case checked == 0:
		c.ok("none is opted in by its label %s=true", inject.LabelInject)
	}
}

// checkPods looks for pods that asked by their own label, run, and were not injected though they would be now.
func (c *checker) checkPods() {
	var list corev1.PodList
	options := []client.ListOption{client.MatchingLabels{inject.LabelInject: "true"}}
	if c.Namespace != "" {
		options = append(options, client.InNamespace(c.Namespace))
	}
	if err := c.Reader.List(c.ctx, &list, options...); err != nil {
		c.unreadable("the pods that ask for injection", err)
		return
	}
	asked, without := 0, 0
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil {
			continue
		}
		asked++
		if pod.Annotations[inject.AnnotationStatus] != "" {
			continue
		}
		if without++; without > most {
			continue
		}
		name := pod.Namespace + "/" + pod.Name
		remedy := "dagger-inject explain pod " + pod.Name + " -n " + pod.Namespace
		about, err := c.explainer.Pod(c.ctx, pod.Namespace, pod.Name)
		switch {
		case err != nil:
			c.unreadable("the pod "+name, err)
		case about.Outcome == explain.OutcomeInjected:
			c.add(Warn, "Create it anew.", "%s asked and was not injected, as it would be now", name)
		case about.Outcome == explain.OutcomeDoesNotApply:
			asked-- // it was told so
			without--
		default:
			c.add(Warn, remedy, "%s asked and was not injected: %s", name, about.Message)
		}
	}
	switch {
	case without > most:
		c.add(Warn, "dagger-inject check -n NAMESPACE", "%d more asked and were not injected", without-most)
	case without == 0:
		c.ok("all pods that asked are injected (%d)", asked)
	}
}
