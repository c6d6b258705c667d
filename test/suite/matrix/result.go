package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/dagger-inject/dagger-inject/test/suite/matrix/attribute"
)

// result is what one run of the tests at one version of Kubernetes showed: a file of the folder results.
type result struct {
	// Kubernetes is the version that the API server reported.
	Kubernetes string `json:"kubernetes"`
	// Date is the day of the run.
	Date string `json:"date"`
	// Runners are the tests that create pods of a runner system, by the system's name.
	Runners map[string]*runner `json:"runners"`
	// Tests are all tests, by the function.
	Tests map[string]*count `json:"tests"`
	// Skipped are the tests that were skipped, with the reason.
	Skipped map[string]string `json:"skipped,omitempty"`
	// Failed are the tests that failed.
	Failed []string `json:"failed,omitempty"`
}

// runner is what the tests of a runner system showed.
type runner struct {
	// Recorded are the tests that create the system's pods as they were recorded.
	Recorded count `json:"recorded"`
	// OwnCode are those in which the system's own code creates them.
	OwnCode count `json:"ownCode"`
	// Engines are those of them whose pods were given an engine, by its version.
	Engines map[string]*count `json:"engines"`
}

// count says how many tests ended in which way. Of a test with subtests only those count.
type count struct {
	Passed  int `json:"passed"`
	Skipped int `json:"skipped,omitempty"`
	Failed  int `json:"failed,omitempty"`
}

func (c *count) add(action string) {
	switch action {
	case "pass":
		c.Passed++
	case "skip":
		c.Skipped++
	default: // a test that did not end, since another one ended the process, has not passed
		c.Failed++
	}
}

// verdict is "passed" only if something ran, and nothing failed.
func (c *count) verdict() string {
	switch {
	case c == nil, c.Passed+c.Failed == 0:
		return notRun
	case c.Failed > 0:
		return failed
	}
	return passed
}

const (
	passed = "passed"
	failed = "failed"
	notRun = "not run"
)

// event is a line of go test -json.
type event struct {
	Action, Test, Output, Key, Value string
	Elapsed                          float64
}

// test is what the events say of one test.
type test struct {
	action     string // how it ended
	output     string
	attributes map[string]string
}

// collector gathers the events of a run.
type collector struct{ tests map[string]*test }

func (c *collector) take(e event) *test {
	if e.Test == "" {
		return nil
	}
	t := c.tests[e.Test]
	if t == nil {
		t = &test{attributes: map[string]string{}}
		c.tests[e.Test] = t
	}
	switch e.Action {
	case "attr":
		t.attributes[e.Key] = e.Value
	case "output":
		t.output += e.Output
	case "pass", "fail", "skip":
		t.action = e.Action
	}
	return t
}

// skipReason is the line that t.Skip writes: the file, the line, and the reason.
var skipReason = regexp.MustCompile(`(?m)^\s+\w+\.go:\d+: (.+)$`)

// result counts what was gathered.
func (c *collector) result(date string) (*result, error) {
	r := &result{Date: date, Runners: map[string]*runner{}, Tests: map[string]*count{}, Skipped: map[string]string{}}
	parents := map[string]bool{}
	for name := range c.tests {
		for i := range name {
			if name[i] == '/' {
				parents[name[:i]] = true
			}
		}
	}
	for name, t := range c.tests {
		if v := t.attributes[attribute.Kubernetes]; v != "" {
			if r.Kubernetes != "" && r.Kubernetes != v {
				return nil, fmt.Errorf("the tests ran against Kubernetes %s and %s", r.Kubernetes, v)
			}
			r.Kubernetes = v
		}
		// A parent that fails by itself, not by a subtest, counts too.
		if parents[name] && (t.action != "fail" || c.failedBelow(name)) {
			continue
		}
		function, _, _ := strings.Cut(name, "/")
		counted(r.Tests, function).add(t.action)
		switch t.action {
		case "pass":
		case "skip":
			r.Skipped[name] = "no reason is given"
			if reasons := skipReason.FindAllStringSubmatch(t.output, -1); len(reasons) > 0 {
				r.Skipped[name] = reasons[len(reasons)-1][1]
			}
		default:
			r.Failed = append(r.Failed, name)
		}
		r.addRunner(t)
	}
	slices.Sort(r.Failed)
	if r.Kubernetes == "" {
		return nil, fmt.Errorf("no test said against which version of Kubernetes it ran")
	}
	return r, nil
}

func (c *collector) failedBelow(name string) bool {
	for other, t := range c.tests {
		if strings.HasPrefix(other, name+"/") && t.action != "pass" && t.action != "skip" {
			return true
		}
	}
	return false
}

func (r *result) addRunner(t *test) {
	name := t.attributes[attribute.Runner]
	if name == "" {
		return
	}
	of := r.Runners[name]
	if of == nil {
		of = &runner{Engines: map[string]*count{}}
		r.Runners[name] = of
	}
	if t.attributes[attribute.OwnCode] != "" {
		of.OwnCode.add(t.action)
	} else {
		of.Recorded.add(t.action)
	}
	if engine := t.attributes[attribute.Engine]; engine != "" {
		counted(of.Engines, engine).add(t.action)
	}
}

func counted(all map[string]*count, key string) *count {
	if all[key] == nil {
		all[key] = &count{}
	}
	return all[key]
}

// total counts all tests.
func (r *result) total() (all count) {
	for _, c := range r.Tests {
		all.Passed, all.Skipped, all.Failed = all.Passed+c.Passed, all.Skipped+c.Skipped, all.Failed+c.Failed
	}
	return all
}

// minor returns the minor version of Kubernetes, as v1.31.
func (r *result) minor() (string, error) {
	v, err := version.ParseSemantic(r.Kubernetes)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("v%d.%d", v.Major(), v.Minor()), nil
}

// write puts the result into its file, in place of that of an earlier run at a version of the same minor.
func (r *result) write(folder string) (string, error) {
	minor, err := r.minor()
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, minor+".json")
	return file, os.WriteFile(file, append(text, '\n'), 0o644)
}

// read returns the results of a folder, the newest Kubernetes first.
func read(folder string) ([]*result, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []*result
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		r := &result{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if minor, err := r.minor(); err != nil || minor+".json" != filepath.Base(file) {
			return nil, fmt.Errorf("%s: it is the result of Kubernetes %q", file, r.Kubernetes)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *result) int { return newer(a.Kubernetes, b.Kubernetes) })
	return all, nil
}

// newer orders versions that are known to be valid, the newest first.
func newer(a, b string) int {
	if version.MustParseSemantic(a).LessThan(version.MustParseSemantic(b)) {
		return 1
	}
	return -1
}
