//go:build !js

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dagger-inject/dagger-inject/internal/terminal"
	"github.com/dagger-inject/dagger-inject/internal/textdiff"
)

// The files of a case.
const (
	casePod      = "pod.yaml"
	caseText     = "expected.txt"
	caseExpected = "expected.yaml"
)

// testVersion is the version in the status annotation of expected pods, so that an upgrade of this program changes none.
const testVersion = "dev"

// policyCase is one folder with a pod.
type policyCase struct {
	name string // relative to the root
	dir  string
	root string
}

// findCases returns the folders with a pod in them whose names match.
func findCases(root string, pattern *regexp.Regexp) ([]policyCase, error) {
	var cases []policyCase
	pods := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != casePod {
			return err
		}
		dir := filepath.Dir(path)
		name, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		if pods++; pattern.MatchString(filepath.ToSlash(name)) {
			cases = append(cases, policyCase{filepath.ToSlash(name), dir, root})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, badInput{err}
	case pods == 0:
		return nil, badInputf("%s has no cases: want folders with a %s", root, casePod)
	case len(cases) == 0:
		return nil, badInputf("--run matches none of the %d cases of %s", pods, root)
	}
	return cases, nil
}

// file returns the case's file of a name, or that of the closest folder above it, up to the root; empty for none.
func (c *policyCase) file(name string) string {
	for dir := c.dir; ; dir = filepath.Dir(dir) {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
		if dir == c.root || dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// inputs returns what a case is decided by.
func (f *testFlags) inputs(c *policyCase) (*injectFlags, error) {
	in := &injectFlags{file: filepath.Join(c.dir, casePod), policy: f.policy, namespacePolicy: c.file("namespace-policy.yaml"),
		engines: f.engines, kubeVersion: defaultKubeVersion, version: testVersion}
	if in.policy == "" {
		in.policy = c.file("policy.yaml")
	}
	if engine := c.file("engine.yaml"); len(in.engines) == 0 && engine != "" {
		in.engines = []string{engine}
	}
	if path := c.file("kube-version.txt"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		in.kubeVersion = strings.TrimSpace(string(text))
	}
	if path := c.file("namespace.yaml"); path != "" {
		ns, err := readNamespace(path)
		if err != nil {
			return nil, err
		}
		in.namespaceLabels, in.namespaceAnnotations = ns.Labels, ns.Annotations
	}
	return in, nil
}

// readNamespace reads the Namespace among a file's objects.
func readNamespace(path string) (*metav1.PartialObjectMetadata, error) {
	objects, err := readObjects([]string{path}, nil)
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		kind, hasKind := object.Get("kind").Str()
		if hasKind && kind != "Namespace" {
			continue
		}
		var ns metav1.PartialObjectMetadata
		if err := json.Unmarshal([]byte(object.Text()), &ns); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &ns, nil
	}
	return nil, fmt.Errorf("%s: want a Namespace", path)
}

// policyIdentity matches what the status annotation says of the policy's source and content.
var policyIdentity = regexp.MustCompile(`"policy":\{"source":"(?:[^"\\]|\\.)*","hash":"[^"]*"\}`)

// sameOutcome compares texts without the identity of the policy: a change of policy that changes nothing for a pod is no failure.
func sameOutcome(want, got string) bool {
	return policyIdentity.ReplaceAllString(want, "") == policyIdentity.ReplaceAllString(got, "")
}

// outcome returns what comes out of a case, as inject writes it: the lines, and the pods if anything changes.
func (f *testFlags) outcome(c *policyCase) (text, pods string, err error) {
	in, err := f.inputs(c)
	if err != nil {
		return "", "", err
	}
	results, err := in.results(nil)
	if err != nil {
		return "", "", err
	}
	var lines, out bytes.Buffer
	changed := false
	for _, r := range results {
		changed = changed || len(r.operations) > 0
		for _, line := range r.lines {
			_ = terminal.Line(&lines, "%s", line)
		}
	}
	if changed {
		if err := renderYAML(streams{out: &out}, results); err != nil {
			return "", "", err
		}
	}
	// A policy that is no ConfigMap is named by its file, whose path is another on each machine.
	short := strings.NewReplacer(c.paths(in.policy, in.namespacePolicy)...)
	return short.Replace(lines.String()), short.Replace(out.String()), nil
}

// paths returns files, each with its path from the root.
func (c *policyCase) paths(files ...string) []string {
	var pairs []string
	for _, file := range files {
		if relative, err := filepath.Rel(c.root, file); file != "" && err == nil {
			pairs = append(pairs, file, filepath.ToSlash(relative))
		}
	}
	return pairs
}

// test runs one case, or updates what it expects.
func (f *testFlags) test(c *policyCase) testResult {
	r := testResult{Case: c.name, Result: testPassed}
	text, pods, err := f.outcome(c)
	if err != nil {
		r.Result, r.Detail = testError, err.Error()
		return r
	}
	r.Decision, _, _ = strings.Cut(text, "\n")
	if _, after, ok := strings.Cut(r.Decision, ": "); ok {
		r.Decision, _, _ = strings.Cut(after, ":")
	}
	for _, one := range []struct{ file, got string }{{caseText, text}, {caseExpected, pods}} {
		path := filepath.Join(c.dir, one.file)
		want, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Result, r.Detail = testError, err.Error()
			return r
		}
		if err == nil == (one.got != "") && sameOutcome(string(want), one.got) {
			continue
		}
		if f.update {
			if err := writeExpected(path, one.got); err != nil {
				r.Result, r.Detail = testError, err.Error()
				return r
			}
			r.Result = testUpdated
			continue
		}
		r.Result = testFailed
		if one.file == caseText && err != nil {
			r.Detail = "nothing is expected yet: --update writes " + caseText + " and " + caseExpected + "\n"
			return r
		}
		diff, err := textdiff.Unified(one.file, string(want), "got", one.got)
		if err != nil {
			r.Result, r.Detail = testError, err.Error()
			return r
		}
		r.Detail += terminal.EscapeLines(diff)
	}
	return r
}

// writeExpected writes a file, or removes it if nothing is expected.
func writeExpected(path, text string) error {
	if text != "" {
		return os.WriteFile(path, []byte(text), 0o644)
	}
	return os.Remove(path)
}
