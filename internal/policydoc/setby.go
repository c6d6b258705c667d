package policydoc

import (
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/config"
)

// setBy says who may set a field if the cluster's policy does not set overrides.
type setBy struct {
	clusterOnly      bool // for good: overrides cannot change it
	namespaces, pods bool
	podsIfLet        bool // overrides.fromPods can have it, and has not by default
}

// lowest finds out which layers may set a field.
func (b *builder) lowest(path string) setBy {
	s := setBy{
		namespaces: config.Permits(b.defaults.FromNamespaces, path),
		pods:       config.Permits(b.defaults.FromPods, path),
	}
	s.podsIfLet = !s.pods && slices.Contains(b.podPaths, path)
	for _, e := range tryOverride(path) {
		s.clusterOnly = s.clusterOnly || strings.Contains(e.Problem, "belongs to the cluster's policy alone")
	}
	return s
}

// nameOverrides lists the fields that overrides.fromNamespaces takes, which an editor can then offer.
func (b *builder) nameOverrides(root *field) {
	list := find(root, "overrides.fromNamespaces[]")
	list.values = nil
	walk(root, func(f *field) {
		if f.path != "" && len(tryOverride(f.path)) == 0 {
			list.values = append(list.values, f.path)
		}
	})
}

func tryOverride(path string) config.Errors { return try("overrides.fromNamespaces[]", path) }

func walk(f *field, visit func(*field)) {
	visit(f)
	for _, child := range f.fields {
		walk(child, visit)
	}
	if f.item != nil {
		walk(f.item, visit)
	}
}

func find(root *field, path string) *field {
	var found *field
	walk(root, func(f *field) {
		if f.path == path {
			found = f
		}
	})
	return found
}
