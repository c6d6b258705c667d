//go:build !js

package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// The results of a case.
const (
	testPassed  = "passed"
	testFailed  = "failed"
	testError   = "error" // it could not be decided
	testUpdated = "updated"
)

// testResult is what became of a case.
type testResult struct {
	Case   string `json:"case"`
	Result string `json:"result"`
	// Decision is the first object's, with the reason.
	Decision string `json:"decision,omitempty"`
	// Detail is the difference from what is expected, or the error.
	Detail string `json:"detail,omitempty"`
}

// testReport is what became of all cases.
type testReport struct {
	Directory string       `json:"directory"`
	Cases     []testResult `json:"cases"`
	Passed    int          `json:"passed"`
	Failed    int          `json:"failed"`
	Updated   int          `json:"updated"`
	errors    int          // of those that failed
}

func (r *testReport) add(one testResult) {
	r.Cases = append(r.Cases, one)
	switch one.Result {
	case testPassed:
		r.Passed++
	case testUpdated:
		r.Updated++
	case testError:
		r.errors++
		r.Failed++
	default:
		r.Failed++
	}
}

// testReports write a report, by format.
var testReports = map[string]func(streams, *testReport) error{
	"table": writeTestTable,
	"junit": writeJUnit,
	"json":  func(s streams, r *testReport) error { return writeObject(s.out, "json", r) },
}

func writeTestTable(s streams, r *testReport) error {
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	_, _ = io.WriteString(table, "CASE\tRESULT\tDECISION\n")
	for _, c := range r.Cases {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", terminal.Escape(c.Case), c.Result, terminal.Escape(orDash(c.Decision)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range r.Cases {
		if c.Detail == "" {
			continue
		}
		_, _ = fmt.Fprintf(s.out, "\n%s: %s\n%s\n", terminal.Escape(c.Case), c.Result, strings.TrimSuffix(terminal.EscapeLines(c.Detail), "\n"))
	}
	summary := fmt.Sprintf("%d cases: %d passed, %d failed", len(r.Cases), r.Passed, r.Failed)
	if r.Updated > 0 {
		summary += fmt.Sprintf(", %d updated", r.Updated)
	}
	_, err := io.WriteString(s.out, "\n"+summary+"\n")
	return err
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// The elements of a JUnit report that CI systems read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(s streams, r *testReport) error {
	suite := junitSuite{Name: r.Directory, Tests: len(r.Cases), Failures: r.Failed - r.errors, Errors: r.errors}
	for _, c := range r.Cases {
		one := junitCase{Name: c.Case, Class: "dagger-inject"}
		switch c.Result {
		case testFailed:
			one.Failure = &junitProblem{"what comes out is not what is expected", c.Detail}
		case testError:
			one.Error = &junitProblem{"the case cannot be decided", c.Detail}
		}
		suite.Cases = append(suite.Cases, one)
	}
	if _, err := io.WriteString(s.out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(s.out)
	encoder.Indent("", "  ")
	if err := encoder.Encode(junitSuites{Suites: []junitSuite{suite}}); err != nil {
		return err
	}
	_, err := io.WriteString(s.out, "\n")
	return err
}
