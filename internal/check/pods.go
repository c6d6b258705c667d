package check

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/internal/explain"
)

// checkPods looks for running pods that asked for injection and were not injected. Pods whose namespace asked matter most:
// while the webhook cannot be reached, they start without an engine and without a warning.
func (c *checker) checkPods() {
	pods, err := c.asking()
	if err != nil {
		c.unreadable("the pods that ask for injection", err)
	}
	c.checkCramped(pods)
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
			asked-- // injection does not apply to it
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

// checkCramped names the namespaces with pods that may use less of the disk than the copy of the CLI may.
func (c *checker) checkCramped(pods []corev1.Pod) {
	size := inject.CLISizeLimit()
	cramped := map[string]int{}
	for i := range pods {
		if limit, limited := inject.StorageLimit(rawPod(&pods[i])); limited && limit.Cmp(size) < 0 {
			cramped[pods[i].Namespace]++
		}
	}
	for n, namespace := range slices.Sorted(maps.Keys(cramped)) {
		if n == most {
			c.add(Warn, "dagger-inject check -n NAMESPACE", "%d more namespaces have pods with low limits of ephemeral-storage", len(cramped)-most)
			return
		}
		c.add(Warn, moreStorage, "%s has %s with limits of ephemeral-storage below %s, against which the copy of the dagger command counts",
			namespace, plural(cramped[namespace], "pod"), size.String())
	}
}

// asking returns the running pods that asked by their own label, and the running CI jobs whose namespace asked. With an error,
// it returns those that could be read.
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
	// An empty namespace selects all.
	labelled := func(*corev1.Pod) bool { return true }
	asks, err := labels.NewRequirement(inject.LabelInject, selection.In, []string{inject.InjectTrue, inject.InjectOptional})
	if err != nil {
		return nil, err
	}
	if err := list(labelled, client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*asks)},
		client.InNamespace(c.Namespace)); err != nil {
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

// isCIJob reports whether a namespace's label reaches a pod, which has no label of its own.
func isCIJob(pod *corev1.Pod) bool {
	if _, own := pod.Labels[inject.LabelInject]; own {
		return false
	}
	raw := rawPod(pod)
	if !raw.IsSet() {
		return false
	}
	// Without a policy, the decision depends only on what the pod is.
	plan := inject.Decide(inject.Input{Pod: raw, Entry: inject.EntryNamespace, Policies: inject.NewPolicies(nil, nil, nil)})
	return plan.Reason.Class() != inject.ClassDoesNotApply
}

// rawPod returns a pod as decisions read it, or the zero Value if that fails.
func rawPod(pod *corev1.Pod) rawjson.Value {
	text, err := json.Marshal(pod)
	if err != nil {
		return rawjson.Value{}
	}
	raw, err := new(rawjson.Document).Parse(string(text))
	if err != nil {
		return rawjson.Value{}
	}
	return raw
}
