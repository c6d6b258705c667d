package main

import (
	"embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// files holds pods as the runner controllers' own code makes them; each says where it is from.
//
//go:embed pods/*.yaml
var files embed.FS

// recording is one AdmissionReview to record.
type recording struct {
	name string // the review's file, without .json
	file string // the pod's file
	env  int    // variables to add to the first container, which runs the job
}

// recordings are what the benchmark sends. The variables that make a pod large stand for what the authors of jobs, or of a
// runner's template, add.
var recordings = []recording{
	{name: "arc", file: "gha-none-labelled.yaml"},
	{name: "arc-dind", file: "gha-dind.yaml"},
	{name: "gitlab", file: "gitlab-default.yaml"},
	{name: "gitlab-services", file: "gitlab-services.yaml"},
	{name: "gitlab-50k", file: "gitlab-default.yaml", env: 220},
	{name: "env-100", file: "gha-none-labelled.yaml", env: 100},
	{name: "env-1000", file: "gha-none-labelled.yaml", env: 1000},
}

func (r recording) pod() (*corev1.Pod, error) {
	text, err := files.ReadFile("pods/" + r.file)
	if err != nil {
		return nil, err
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(text, pod); err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.file, err)
	}
	job := &pod.Spec.Containers[0]
	for i := range r.env {
		job.Env = append(job.Env, corev1.EnvVar{
			Name:  fmt.Sprintf("JOB_VARIABLE_%04d", i),
			Value: fmt.Sprintf("https://example.com/variables/%04d", i),
		})
	}
	return pod, nil
}
