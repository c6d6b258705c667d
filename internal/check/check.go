// Package check tells whether an installation is healthy: each check looks at one thing that keeps pods from their engine, and
// says what to do about it.
package check

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/apicheck"
	"github.com/dagger-inject/dagger-inject/internal/cluster"
	"github.com/dagger-inject/dagger-inject/internal/explain"
	"github.com/dagger-inject/dagger-inject/internal/terminal"
)

// Level is how bad a finding is.
type Level string

// The levels. If an object may not be read, that is a warning: nothing is known to be wrong.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is what one check found.
type Finding struct {
	// Check names the check.
	Check string `json:"check"`
	Level Level  `json:"level"`
	// Text is what was found.
	Text string `json:"text"`
	// Remedy is what to do about it, empty if nothing is wrong.
	Remedy string `json:"remedy,omitempty"`
}

// Options say what is checked, and by what.
type Options struct {
	// Reader reads the cluster.
	Reader client.Reader
	// ReleaseNamespace is where the webhook runs and the cluster's policy is.
	ReleaseNamespace string
	// Namespace is the namespace whose policies, pods and opt-in are checked; empty for all.
	Namespace string
	// Ask asks the API server whether it reaches the webhook; nil skips that check.
	Ask func(context.Context) apicheck.Answer
	// MayReadPods asks whether the webhook may list and watch the pods of a namespace; nil skips that check.
	MayReadPods func(ctx context.Context, namespace string) (bool, error)
	// Now is the time at which certificates must be valid.
	Now time.Time
	// Version is this program's version.
	Version string
}

// checker is one run.
type checker struct {
	Options
	ctx      context.Context
	name     string // of the check that runs
	findings []Finding

	webhooks
	explainer *explain.Explainer
	engines   *cluster.Engines
	// policies are the cluster's policies, nil if they cannot be read, and refined those of namespaces with a policy. Both
	// look for engines: lookups has the results.
	policies *inject.Policies
	refined  map[string]*inject.Policies
	lookups  map[string]lookup
	// given are the pods of the checked namespaces, and givenErr says why they cannot be read; both hold once givenRead is
	// true.
	given     []corev1.Pod
	givenErr  error
	givenRead bool
}

// Run makes every check. Some need what an earlier one has read.
func Run(ctx context.Context, o Options) []Finding {
	c := &checker{
		Options: o, ctx: ctx, engines: cluster.NewEngines(ctx, o.Reader, ""),
		refined: map[string]*inject.Policies{}, lookups: map[string]lookup{},
		explainer: &explain.Explainer{Reader: o.Reader, ReleaseNamespace: o.ReleaseNamespace, Version: o.Version},
	}
	for _, check := range []struct {
		name string
		run  func(*checker)
	}{
		{"webhooks", (*checker).checkWebhooks},
		{"replicas", (*checker).checkReplicas},
		{"certificate", (*checker).checkCertificate},
		{"cert-manager", (*checker).checkCertManager},
		{"API server", (*checker).checkAPIServer},
		{"policies", (*checker).checkPolicies},
		{"engines", (*checker).checkEngines},
		{"caches", (*checker).checkCaches},
		{"placement", (*checker).checkCacheAffinity},
		{"namespaces", (*checker).checkNamespaces},
		{"pods", (*checker).checkPods},
	} {
		c.name = check.name
		check.run(c)
	}
	return c.findings
}

func (c *checker) add(level Level, remedy, format string, args ...any) {
	c.findings = append(c.findings, Finding{Check: c.name, Level: level, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (c *checker) ok(format string, args ...any) { c.add(OK, "", format, args...) }

// unreadable adds a warning about an object that cannot be read.
func (c *checker) unreadable(what string, err error) {
	remedy := "See whether the API server answers."
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		remedy = "Ask somebody who may read it to run the check."
	}
	c.add(Warn, remedy, "cannot be read: %s: %v", what, err)
}

// most is how many findings of one kind are listed one by one.
const most = 20

// Failed reports whether a finding is a failure.
func Failed(findings []Finding) bool {
	for _, f := range findings {
		if f.Level == Fail {
			return true
		}
	}
	return false
}

// Text writes findings as a table, a line each, with the remedy below what is not right.
func Text(w io.Writer, findings []Finding) error {
	var b strings.Builder
	for _, f := range findings {
		_ = terminal.Line(&b, "%-5s %-12s %s", f.Level, f.Check, strings.Join(strings.Fields(f.Text), " "))
		if f.Remedy != "" {
			_ = terminal.Line(&b, "%-5s %-12s -> %s", "", "", f.Remedy)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plural returns the number with its noun.
func plural(n int, noun string) string {
	return fmt.Sprintf("%d %s", n, cmp.Or(map[bool]string{true: noun}[n == 1], noun+"s"))
}
