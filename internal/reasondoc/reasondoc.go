// Package reasondoc writes docs/troubleshooting.md and the README's table of reasons from the reasons themselves.
package reasondoc

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/dagger-inject/dagger-inject/inject"
)

//go:embed head.md
var head string

// Table returns the README's table of reasons, each with a link to its part of the page.
func Table() string {
	table := "| reason | class | meaning | remedy |\n|---|---|---|---|"
	for _, r := range inject.Reasons() {
		table += fmt.Sprintf("\n| [`%s`](docs/troubleshooting.md#%s) | %s | %s | %s |", r, r, r.Class(), r.Sentence(), r.Remedy())
	}
	return table
}

// Page returns docs/troubleshooting.md. Each reason has a heading that is the reason's own word, which GitHub makes the anchor
// that messages end with.
func Page() string {
	var b strings.Builder
	b.WriteString(head)
	for _, r := range inject.Reasons() {
		fmt.Fprintf(&b, "\n### %s\n\n%s: %s\n\n%s\n", r, classes[r.Class()], r.Sentence(), causes[r])
		if remedy := r.Remedy(); remedy != "" {
			fmt.Fprintf(&b, "\n**Remedy.** %s\n", remedy)
		}
	}
	return b.String()
}

// classes say what a class means for the pod.
var classes = map[inject.Class]string{
	inject.ClassInjected:     "*Injected*",
	inject.ClassDoesNotApply: "*Does not apply*, the pod is admitted as it is",
	inject.ClassCannot:       "*Cannot*, the policy's `onError` decides",
	inject.ClassFault:        "*Fault*, `failurePolicy` decides",
}
