// Package reasondoc writes docs/troubleshooting.md from the reasons themselves.
package reasondoc

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
	"github.com/dagger-inject/dagger-inject/internal/prose"
)

//go:embed head.md
var head string

// Page returns docs/troubleshooting.md. The heading of each reason is the reason's own word, which GitHub turns into the anchor
// that messages link to.
func Page() string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("\n| reason | class | meaning |\n|---|---|---|\n")
	for _, r := range inject.Reasons() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", r, r, r.Class(), r.Sentence())
	}
	for _, r := range inject.Reasons() {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n*%s*: %s\n\n%s\n", r, r.Sentence(), r.Class(), classes[r.Class()], prose.Lines(causes[r]))
		if remedy := r.Remedy(); remedy != "" {
			fmt.Fprintf(&b, "\n**Remedy:** %s\n", prose.Lines(remedy))
		}
	}
	return b.String()
}

// classes say what a class means for the pod.
var classes = map[inject.Class]string{
	inject.ClassInjected:     "the pod can use an engine.",
	inject.ClassDoesNotApply: "the pod is admitted as it is.",
	inject.ClassCannot:       "the policy's `onError` decides whether the pod is refused.",
	inject.ClassFault:        "the webhook configuration's `failurePolicy` decides whether the pod is refused.",
}
