package webhook

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/engine"
)

// engineState is what is known about engines at one moment, by namespace. It is immutable.
type engineState map[string]engineNamespace

// engineNamespace is what is known about the engines of one namespace.
type engineNamespace struct {
	workloads engine.Workloads
	err       error // the namespace cannot be read
}

// Discover finds the engines of a namespace.
func (s engineState) Discover(namespace string, selector labels.Selector) (*engine.Found, error) {
	known, watched := s[namespace]
	switch {
	case namespace == "":
		return nil, inject.ErrOwnNamespaceOff
	case !watched:
		return nil, fmt.Errorf("engines of namespace %s are not read: the cluster's policy must name it in engine.discover.namespace", namespace)
	}
	return known.discover(namespace, selector)
}

// discover finds the engines of the namespace, which has the given name.
func (n engineNamespace) discover(name string, selector labels.Selector) (*engine.Found, error) {
	if n.err != nil {
		return nil, n.err
	}
	found, err := n.workloads.Discover(selector)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", name, err)
	}
	return found, nil
}
