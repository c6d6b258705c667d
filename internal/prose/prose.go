// Package prose lays out text for Markdown sources, in which each sentence has a line of its own: a changed line is then a
// changed sentence.
package prose

import "regexp"

var sentenceEnd = regexp.MustCompile("([a-z0-9)`*\"][.?!](?:\\*\\*)?) +([A-Z*`])")

// Lines puts each sentence on a line of its own.
func Lines(text string) string { return sentenceEnd.ReplaceAllString(text, "$1\n$2") }
