package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	evanphx "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/dagger-inject/dagger-inject/inject"
)

// verify makes sure that what is measured is worth comparing: on every review, ours and the typed defaulter add the same
// to the pod, and something; the floor adds nothing.
func verify(ctx context.Context, client *http.Client, children map[string]*child, reviews []*review) error {
	for _, r := range reviews {
		added := map[string][]string{}
		for server, c := range children {
			var answer bytes.Buffer
			if err := post(ctx, client, c, r, &answer); err != nil {
				return err
			}
			var err error
			if added[server], err = additions(r, answer.Bytes()); err != nil {
				return fmt.Errorf("what %s answers to %s: %w", server, r.name, err)
			}
		}
		if len(added[serverFloor]) > 0 {
			return fmt.Errorf("%s: the floor adds %v", r.name, added[serverFloor])
		}
		if !slices.Contains(added[serverOurs], "env "+inject.EnvRunnerHost) {
			return fmt.Errorf("%s: ours does not inject: it adds %v", r.name, added[serverOurs])
		}
		if !slices.Equal(added[serverOurs], added[serverTyped]) {
			return fmt.Errorf("%s: the injections differ, so their cost cannot be compared:\nours adds  %v\ntyped adds %v",
				r.name, added[serverOurs], added[serverTyped])
		}
	}
	return nil
}

// additions applies an answer's patch as the API server would and returns what the pod has then that it had not, sorted.
func additions(r *review, answer []byte) ([]string, error) {
	var asked, answered admissionv1.AdmissionReview
	if err := json.Unmarshal(r.body, &asked); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, &answered); err != nil {
		return nil, err
	}
	if answered.Response == nil || !answered.Response.Allowed || answered.Response.UID != asked.Request.UID {
		return nil, fmt.Errorf("it does not allow the request: %.300s", answer)
	}
	patched := asked.Request.Object.Raw
	if len(answered.Response.Patch) > 0 {
		patch, err := evanphx.DecodePatch(answered.Response.Patch)
		if err != nil {
			return nil, err
		}
		if patched, err = patch.Apply(patched); err != nil {
			return nil, err
		}
	}
	before, err := contents(asked.Request.Object.Raw)
	if err != nil {
		return nil, err
	}
	after, err := contents(patched)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(after, func(what string, _ bool) bool { return before[what] })
	return slices.Sorted(maps.Keys(after)), nil
}

// contents names everything in a pod that an injection may add.
func contents(raw []byte) (map[string]bool, error) {
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for name := range pod.Annotations {
		have["annotation "+name] = true
	}
	for _, v := range pod.Spec.Volumes {
		have["volume "+v.Name] = true
	}
	for _, t := range pod.Spec.Tolerations {
		have["toleration "+t.String()] = true
	}
	for _, c := range pod.Spec.InitContainers {
		have["init container "+c.Name] = true
	}
	if pod.Spec.SecurityContext != nil {
		for _, gid := range pod.Spec.SecurityContext.SupplementalGroups {
			have[fmt.Sprint("group ", gid)] = true
		}
	}
	for _, c := range pod.Spec.Containers {
		for _, e := range c.Env {
			have["env "+e.Name] = true
		}
		for _, m := range c.VolumeMounts {
			have["mount "+m.Name+" at "+m.MountPath] = true
		}
	}
	return have, nil
}
