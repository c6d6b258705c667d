package main

import (
	"embed"
	"fmt"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
	"github.com/dagger-inject/dagger-inject/inject/registration"
	"github.com/dagger-inject/dagger-inject/test/suite/bench/figures"
)

// recorded holds AdmissionReviews as a real API server sends them; test/suite/bench/record records them.
//
//go:embed reviews/*.json
var recorded embed.FS

// review is one AdmissionReview to send.
type review struct {
	name string
	// path is the webhook entry that the API server would send it to.
	path string
	// runner marks a real runner pod of up to 12 KB, managedFields apart: the strictest target holds for those.
	runner bool
	// mixed marks those that the mixed load sends in turn.
	mixed bool

	body []byte
	// pod is the size of the pod in the body, managed that of the managedFields in it.
	pod, managed int
}

const (
	nameArc     = "arc"
	nameMixed   = "mixed"
	nameEnvFew  = "env-100"
	nameEnvMany = "env-1000"
)

// loadReviews returns every review, from the smallest load to the largest.
func loadReviews() ([]*review, error) {
	reviews := []*review{
		{name: nameArc, path: registration.PathPod, runner: true, mixed: true},
		{name: "arc-dind", path: registration.PathPod, runner: true},
		{name: "gitlab", path: registration.PathNamespace, runner: true, mixed: true},
		{name: nameEnvFew, path: registration.PathPod},
		{name: "gitlab-services", path: registration.PathNamespace},
		{name: "gitlab-50k", path: registration.PathNamespace, mixed: true},
		{name: nameEnvMany, path: registration.PathPod, mixed: true},
	}
	for _, r := range reviews {
		var err error
		if r.body, err = recorded.ReadFile("reviews/" + r.name + ".json"); err != nil {
			return nil, err
		}
		var doc rawjson.Document
		root, err := doc.Parse(string(r.body))
		if err != nil {
			return nil, fmt.Errorf("the review %s: %w", r.name, err)
		}
		object := root.Get("request").Get("object")
		r.pod = len(object.Text())
		r.managed = len(object.Get("metadata").Get("managedFields").Text())
	}
	return reviews, nil
}

// reviewNamed returns the review of that name.
func reviewNamed(reviews []*review, name string) (*review, error) {
	for _, r := range reviews {
		if r.name == name {
			return r, nil
		}
	}
	return nil, fmt.Errorf("there is no review %q", name)
}

// load is what one measurement sends: its reviews in turn.
type load struct {
	name    string
	reviews []*review
}

// loads returns one load for each review, and the mixed one.
func loads(reviews []*review) []load {
	mixed := load{name: nameMixed}
	var all []load
	for _, r := range reviews {
		all = append(all, load{r.name, []*review{r}})
		if r.mixed {
			mixed.reviews = append(mixed.reviews, r)
		}
	}
	return append(all, mixed)
}

// figures says what the load is, without a server's figures.
func (l load) figures() *figures.Load {
	f := &figures.Load{Name: l.name}
	for _, r := range l.reviews {
		f.BodyBytes += len(r.body) / len(l.reviews)
	}
	if len(l.reviews) == 1 {
		r := l.reviews[0]
		f.Runner, f.PodBytes, f.ManagedBytes = r.runner, r.pod, r.managed
	}
	return f
}
