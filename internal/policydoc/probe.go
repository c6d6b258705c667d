package policydoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dagger-inject/dagger-inject/config"
)

// example is a valid policy with an item in every list of mappings, so that a value that is put into one causes only its own
// error.
const example = `
apiVersion: ` + config.APIVersion + `
kind: ` + config.Kind + `
scheduling:
  tolerations: [{key: a, operator: Exists}]
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
      - matchExpressions: [{key: a, operator: Exists}]
        matchFields: [{key: metadata.name, operator: In, values: [a]}]
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 1
      preference:
        matchExpressions: [{key: a, operator: Exists}]
        matchFields: [{key: metadata.name, operator: In, values: [a]}]
env:
- name: A
  valueFrom: {secretKeyRef: {name: a, key: a}}
namespaces:
  selector:
    matchExpressions: [{key: a, operator: Exists}]
`

// with returns the example with a value at a field, as JSON. In a path, [] is the first item of a list and * any key of a
// mapping.
func with(path string, value any) []byte {
	var document any
	if err := yaml.Unmarshal([]byte(example), &document); err != nil {
		panic(err)
	}
	text, err := json.Marshal(put(document, strings.Split(strings.ReplaceAll(path, "[]", ".[]"), "."), value))
	if err != nil {
		panic(err)
	}
	return text
}

func put(node any, steps []string, value any) any {
	if len(steps) == 0 {
		return value
	}
	if steps[0] == "[]" {
		list, _ := node.([]any)
		if len(list) == 0 {
			list = []any{nil}
		}
		list[0] = put(list[0], steps[1:], value)
		return list
	}
	mapping, _ := node.(map[string]any)
	if mapping == nil {
		mapping = map[string]any{}
	}
	key := strings.ReplaceAll(steps[0], "*", "x")
	mapping[key] = put(mapping[key], steps[1:], value)
	return mapping
}

// try returns what package config finds wrong with a value at a field: its errors there and below.
func try(path string, value any) config.Errors {
	at := concrete(path)
	var wrong config.Errors
	for _, e := range refusals(with(path, value)) {
		if config.Permits([]string{at}, e.Path) {
			wrong = append(wrong, e)
		}
	}
	return wrong
}

func refusals(document []byte) config.Errors {
	_, err := config.Parse(document)
	var all config.Errors
	if err != nil && !errors.As(err, &all) {
		panic(fmt.Sprintf("config.Parse returned an error of another type: %v", err))
	}
	return all
}

// concrete returns the path that an error has.
func concrete(path string) string {
	return strings.NewReplacer("[]", "[0]", ".*", ".x").Replace(path)
}

const notYet = "not supported yet: "

// notSupported returns what to do instead if package config does not act on a value yet. It says so at the field or at one
// that holds it.
func notSupported(path string, value any) (instead string, refused bool) {
	at := concrete(path)
	for _, e := range refusals(with(path, value)) {
		if instead, ok := strings.CutPrefix(e.Problem, notYet); ok &&
			(config.Permits([]string{at}, e.Path) || config.Permits([]string{e.Path}, at)) {
			return instead, true
		}
	}
	return "", false
}

var (
	acceptedValues = regexp.MustCompile(`accepted (?:is|are) (.+)$`)
	separator      = regexp.MustCompile(`, | and `)
	fromTo         = regexp.MustCompile(`(\d+) to (\d+)`)
	atMost         = regexp.MustCompile(`at most (\d+)`)
)

// accepted returns the values that the refusal of a value names, nil if it names none.
func accepted(path string, value any) []string {
	for _, e := range try(path, value) {
		if m := acceptedValues.FindStringSubmatch(e.Problem); m != nil {
			return separator.Split(m[1], -1)
		}
	}
	return nil
}

// limits returns the range that the refusal of a value names: of an integer, or of the number of items.
func limits(path string, value any) (least, most *int) {
	for _, e := range try(path, value) {
		if e.Path != concrete(path) {
			continue
		}
		if m := fromTo.FindStringSubmatch(e.Problem); m != nil {
			return number(m[1]), number(m[2])
		}
		if m := atMost.FindStringSubmatch(e.Problem); m != nil {
			return nil, number(m[1])
		}
	}
	return nil, nil
}

func number(digits string) *int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		panic(err)
	}
	return &n
}
