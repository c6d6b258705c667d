package check

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// checkPods looks for pods that asked, run, and were not injected. Those that their namespace asked for matter most: while
// the webhook cannot be reached they start without an engine, and nobody is told.
func (c *checker) checkPods() {
	pods, err := c.asking()
	if err != nil {
		c.unreadable("the pods that ask for injection", err)
	}
	asked, without := 0, 0
	for i := range pods {
		pod := &pods[i]
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
	case without == 0 && err == nil:
		c.ok("all pods that asked are injected (%d)", asked)
	}
}

// asking returns the pods that run and asked by their own label, or by their namespace's as CI jobs; with an error, those that
// could be read.
func (c *checker) asking() ([]corev1.Pod, error) {
	var asking []corev1.Pod
	list := func(wanted func(*corev1.Pod) bool, options ...client.ListOption) error {
		var pods corev1.PodList
		if err := c.Reader.List(c.ctx, &pods, options...); err != nil {
			return err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			if !over(pod) && wanted(pod) {
				asking = append(asking, *pod)
			}
		}
		return nil
	}
	// An empty namespace is all of them.
	labelled := func(*corev1.Pod) bool { return true }
	if err := list(labelled, client.MatchingLabels{inject.LabelInject: "true"}, client.InNamespace(c.Namespace)); err != nil {
		return asking, err
	}
	namespaces, err := c.optedIn()
	if client.IgnoreNotFound(err) != nil {
		return asking, err
	}
	for _, ns := range namespaces {
		if err := list(isCIJob, client.InNamespace(ns.Name)); err != nil {
			return asking, err
		}
	}
	return asking, nil
}

func over(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil
}

// isCIJob reports whether a pod without a label of its own is one that its namespace's label reaches.
func isCIJob(pod *corev1.Pod) bool {
	if _, own := pod.Labels[inject.LabelInject]; own {
		return false
	}
	text, err := json.Marshal(pod)
	if err != nil {
		return false
	}
	raw, err := new(rawjson.Document).Parse(string(text))
	if err != nil {
		return false
	}
	// Without a policy, what is left to decide is what the pod is.
	plan := inject.Decide(inject.Input{Pod: raw, Entry: inject.EntryNamespace, Policies: inject.NewPolicies(nil, nil, nil)})
	return plan.Reason.Class() != inject.ClassDoesNotApply
}
