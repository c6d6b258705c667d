package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// clusterOnly are the fields that no lower layer may ever set, because they guard the others.
var clusterOnly = []string{"apiVersion", "kind", "namespaces", "podSecurity", "overrides"}

// podFields are the fields that a pod's annotations can set at all.
var podFields = []string{FieldProfile, "containers.include", FieldEngineVersion, "engine.transport", FieldSidecar, "cli.delivery",
	"wait.enabled"}

func (v *validator) overrides(o *Overrides) {
	for i, path := range o.FromNamespaces {
		at := fmt.Sprintf("overrides.fromNamespaces[%d]", i)
		switch {
		case slices.ContainsFunc(clusterOnly, func(only string) bool { return Permits([]string{only}, path) }):
			v.fail(at, "%.100q belongs to the cluster's policy alone", path)
		case !isFieldPath(reflect.TypeFor[InjectionPolicy](), path):
			v.fail(at, "%.100q is no field of a policy: want a path such as engine.tcp or scheduling.tolerations", path)
		}
	}
	for i, path := range o.FromPods {
		v.oneOf(fmt.Sprintf("overrides.fromPods[%d]", i), path, podFields...)
	}
}

// dropUnknownOverrides drops the paths of fields that this program does not know, if the policy may be from a newer one, and
// counts them as ignored fields.
func (e *Effective) dropUnknownOverrides() {
	if !slices.ContainsFunc(e.layers, func(l Layer) bool { return l.IgnoreUnknown }) {
		return
	}
	keep := func(at string, known func(path string) bool, paths []string) []string {
		return slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
			if known(path) {
				return false
			}
			e.Ignored = append(e.Ignored, FieldError{Path: at, Problem: fmt.Sprintf("%.100q is no field known here, ignored", path)})
			return true
		})
	}
	o := &e.Policy.Overrides
	o.FromNamespaces = keep("overrides.fromNamespaces",
		func(path string) bool { return isFieldPath(reflect.TypeFor[InjectionPolicy](), path) }, o.FromNamespaces)
	o.FromPods = keep("overrides.fromPods", func(path string) bool { return slices.Contains(podFields, path) }, o.FromPods)
}

// isFieldPath reports whether the path leads to a field, by json names.
func isFieldPath(t reflect.Type, path string) bool {
	name, rest, more := strings.Cut(path, ".")
	if t.Kind() != reflect.Struct {
		return false
	}
	index, known := fieldsOf(t)[name]
	return known && (!more || isFieldPath(t.FieldByIndex(index).Type, rest))
}
