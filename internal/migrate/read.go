package migrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
)

// template matches what Helm evaluates. Argo Workflows has double braces of its own.
var template = regexp.MustCompile(`\{\{-?\s*(\.(Values|Release|Chart|Files|Capabilities|Template)\b|` +
	`(include|template|toYaml|tpl|define|range|with|if|else|end)\b|\$)`)

// parse reads the documents of a file by its name and content.
func parse(name string, text []byte) ([]document, error) {
	if strings.EqualFold(filepath.Ext(name), ".toml") {
		if err := checkTemplate(name, text, nil); err != nil {
			return nil, err
		}
		d, err := parseTOML(text)
		if err != nil {
			return nil, fmt.Errorf("%s: it is no TOML: %w", name, err)
		}
		return []document{d}, nil
	}
	parsed, err := parseYAML(text)
	var documents []document
	var blocks []*embeddedTOML
	for _, d := range parsed {
		inside := d.embedded()
		blocks = append(blocks, inside...)
		if len(inside) == 0 {
			documents = append(documents, d)
		}
		for _, e := range inside {
			documents = append(documents, e)
		}
	}
	if err := checkTemplate(name, text, blocks); err != nil {
		return nil, err
	}
	if err != nil {
		if d, tomlErr := parseTOML(text); tomlErr == nil {
			return []document{d}, nil
		}
		return nil, fmt.Errorf("%s: it is neither YAML nor JSON nor TOML: %w", name, err)
	}
	if len(documents) == 0 {
		return nil, fmt.Errorf("%s: nothing is in it", name)
	}
	return documents, nil
}

// checkTemplate refuses what Helm has yet to evaluate. In a config.toml within values, GitLab Runner's chart evaluates it, and it
// is no obstacle there.
func checkTemplate(name string, text []byte, blocks []*embeddedTOML) error {
	for _, at := range template.FindAllIndex(text, -1) {
		if slices.ContainsFunc(blocks, func(e *embeddedTOML) bool { return !e.outside(at[0]) }) {
			continue
		}
		return fmt.Errorf("%s: line %d: it is a template of Helm's: render it first, with helm template, and migrate what comes out, "+
			"or migrate the values", name, bytes.Count(text[:at[0]], []byte("\n"))+1)
	}
	return nil
}

// findIn looks for workloads by the rules of the document's language.
func findIn(d document, namespace string) (found, error) {
	switch t := d.(type) {
	case *tomlDocument:
		return gitlab(t.content, namespace), nil
	case *embeddedTOML:
		return gitlab(t.content, namespace), nil
	}
	return find(d.tree(), namespace)
}

// read reads a file, and works out what is to be done in it.
func (m *migration) read(in Input) (*job, error) {
	documents, err := parse(in.Name, in.Text)
	if err != nil {
		return nil, err
	}
	j := &job{name: in.Name, before: in.Text, after: in.Text}
	var errs []error
	for _, d := range documents {
		p := &part{document: d}
		if p.found, err = findIn(d, m.options.Namespace); err != nil {
			return nil, fmt.Errorf("%s: %w", in.Name, err)
		}
		for _, w := range p.workloads {
			t, err := m.plan(w)
			if err != nil {
				line := d.lineAt(w.origins[0].source)
				errs = append(errs, fmt.Errorf("%s: line %d: %s: %w", in.Name, line, w.name, err))
				continue
			}
			p.tasks = append(p.tasks, t)
		}
		j.documents = append(j.documents, p)
	}
	return j, errors.Join(errs...)
}

// othersText lists what a file has besides workloads.
func (j *job) othersText() string {
	var all []string
	for _, p := range j.documents {
		all = append(all, p.others...)
	}
	return strings.Join(all, ", ")
}

// plan works out what is to be done with one workload. An error is bad input.
func (m *migration) plan(w *workload) (*task, error) {
	pod, err := typed(w.pod)
	if err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("%s: Kubernetes has another type there than %s", wrong.Field, wrong.Value)
		}
		return nil, fmt.Errorf("its pod cannot be read: %w", err)
	}
	t := &task{workload: w, wiring: findWiring(pod), annotations: map[string]string{}}
	t.result.Name = w.name
	t.wiring.left = append(t.wiring.left, w.unread...)
	if len(t.wiring.wired) == 0 && sidecarOf(pod) != nil {
		t.wiring = &wiring{notes: []string{"it runs an engine"}}
	}
	if t.wiring.isEmpty() {
		return t, nil
	}
	if value, labelled := pod.Labels[inject.LabelInject]; labelled {
		return nil, fmt.Errorf("it is wired by hand, and has the label %s=%s too: which of the two is meant cannot be seen: remove one of them",
			inject.LabelInject, value)
	}
	if two := t.wiring.twoEngines(pod); two != "" {
		return nil, fmt.Errorf("it is wired to two engines, where injection gives a pod one: %s: split the pod, or decide for one of them", two)
	}
	return t, m.choose(t, pod)
}
