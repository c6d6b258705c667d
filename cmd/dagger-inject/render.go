package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"

	"github.com/dagger-inject/dagger-inject/inject/patch"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
	"github.com/dagger-inject/dagger-inject/internal/textdiff"
)

var renderers = map[string]func(streams, []result) error{
	"yaml":  renderYAML,
	"json":  renderJSON,
	"patch": renderPatch,
	"diff":  renderDiff,
}

func renderYAML(s streams, results []result) error {
	for i, r := range results {
		if i > 0 {
			_, _ = io.WriteString(s.out, "---\n")
		}
		after, err := r.injected()
		if err != nil {
			return err
		}
		if _, err := s.out.Write(after); err != nil {
			return err
		}
	}
	return nil
}

// injected returns the document as YAML after its operations, in the style of yaml, so that the two differ only in what was added.
func (r *result) injected() ([]byte, error) {
	if len(r.operations) == 0 {
		return r.yaml()
	}
	node := copyNode(r.node)
	if err := addToYAML(node, r.operations); err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	text, err := encodeYAML(node)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	return text, nil
}

func renderJSON(s streams, results []result) error {
	for _, r := range results {
		patched, err := patch.Apply(r.json, r.operations)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if err := writeIndented(s.out, patched); err != nil {
			return err
		}
	}
	return nil
}

func renderPatch(s streams, results []result) error {
	for _, r := range results {
		if err := writeIndented(s.out, patch.Marshal(r.operations)); err != nil {
			return err
		}
	}
	return nil
}

func writeIndented(w io.Writer, text []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func renderDiff(s streams, results []result) error {
	for _, r := range results {
		before, err := r.yaml()
		if err != nil {
			return err
		}
		after, err := r.injected()
		if err != nil {
			return err
		}
		text, err := textdiff.Unified(r.name, string(before), r.name+" (injected)", string(after))
		if err != nil {
			return err
		}
		text = terminal.EscapeLines(text)
		if s.outIsTerminal() {
			text = textdiff.Colour(text)
		}
		if _, err := io.WriteString(s.out, text); err != nil {
			return err
		}
	}
	return nil
}

// checkOutput checks an output format of writeObject; empty stands for text.
func checkOutput(format string) error {
	if format != "" && format != "json" && format != "yaml" {
		return badInputf("-o %q is not accepted: accepted is json or yaml", format)
	}
	return nil
}

// writeObject writes a value in an output format, json or yaml.
func writeObject(w io.Writer, format string, v any) error {
	if format == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	text, err := yaml.Marshal(v)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}
