package integration

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	patience = 30 * time.Second
	tick     = 50 * time.Millisecond
)

// tokenName is the random part of the name of a service account's token volume.
var tokenName = regexp.MustCompile(`kube-api-access-\w+`)

// sortByJSON sorts values by what they say.
func sortByJSON[T any](t *testing.T, list []T) {
	t.Helper()
	slices.SortFunc(list, func(a, b T) int {
		return strings.Compare(tokenName.ReplaceAllString(string(asJSON(t, a)), ""), tokenName.ReplaceAllString(string(asJSON(t, b)), ""))
	})
}
