// Package invariant checks what must hold of every patch.
package invariant

import (
	"fmt"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

// OnlyAdded returns an error unless after is before plus additions: every value that before has stands at the same place
// with the same token, and the elements of every list in the same order. This program's status annotation may differ; null
// may have become anything, as Kubernetes treats it as absent.
func OnlyAdded(before, after string) error {
	var b, a rawjson.Document
	from, err := b.Parse(before)
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	to, err := a.Parse(after)
	if err != nil {
		return fmt.Errorf("after: %w", err)
	}
	return onlyAdded("", from, to)
}

func onlyAdded(path string, before, after rawjson.Value) error {
	if !before.IsSet() {
		return nil
	}
	if before.Kind() != after.Kind() {
		return fmt.Errorf("%s: was %s, is %s", path, before.Kind(), after.Kind())
	}
	switch before.Kind() {
	case rawjson.Object:
		for name, value := range before.Members() {
			if name == inject.AnnotationStatus {
				continue
			}
			if err := onlyAdded(path+"."+name, value, after.Get(name)); err != nil {
				return err
			}
		}
		return nil
	case rawjson.Array:
		return inOrder(path, before, after)
	case rawjson.String:
		was, _ := before.Str()
		if is, _ := after.Str(); was != is {
			return fmt.Errorf("%s: was %q, is %q", path, was, is)
		}
		return nil
	}
	if before.Text() != after.Text() {
		return fmt.Errorf("%s: was %s, is %s", path, before.Text(), after.Text())
	}
	return nil
}

// inOrder matches each element of before with the next element of after that it can have become.
func inOrder(path string, before, after rawjson.Value) error {
	var candidates []rawjson.Value
	for _, element := range after.Elements() {
		candidates = append(candidates, element)
	}
	for i, element := range before.Elements() {
		var last error
		for {
			if len(candidates) == 0 {
				return fmt.Errorf("%s[%d]: lost or out of order: %w", path, i, last)
			}
			candidate := candidates[0]
			candidates = candidates[1:]
			if last = onlyAdded(fmt.Sprintf("%s[%d]", path, i), element, candidate); last == nil {
				break
			}
		}
	}
	return nil
}
