package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// clusterOnly are the fields that no lower layer may be let to set: they are what guards the others.
var clusterOnly = []string{"apiVersion", "kind", "namespaces", "podSecurity", "overrides"}

// podFields are the fields that a pod's annotations can set at all.
var podFields = []string{FieldProfile, "containers.include", "engine.transport", "cli.delivery", "wait.enabled"}

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

// isFieldPath reports whether the path leads to a field, by json names.
func isFieldPath(t reflect.Type, path string) bool {
	name, rest, more := strings.Cut(path, ".")
	if t.Kind() != reflect.Struct {
		return false
	}
	fields := map[string]reflect.Value{}
	collectFields(reflect.New(t).Elem(), fields)
	f, known := fields[name]
	return known && (!more || isFieldPath(f.Type(), rest))
}
