package webhook

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dagger-inject/dagger-inject/inject"
)

const (
	// breaksTimeout bounds the search for namespaces that a change of the cluster's policy breaks.
	breaksTimeout = time.Second
	// breaksNamed is how many of them one warning names.
	breaksNamed = 5
)

// breaks returns warnings that name the namespaces whose own policy is valid now and would not be under the given cluster's
// policy, for example because that locks a field that they set. Without the warning their owners would learn it from refused
// pods.
func (s *PolicyStore) breaks(ctx context.Context, cluster *inject.Policies) (warnings []string) {
	ctx, cancel := context.WithTimeout(ctx, breaksTimeout)
	defer cancel()
	names := s.namespaces()
	broken := 0
	for i, name := range names {
		if ctx.Err() != nil {
			warnings = append(warnings, fmt.Sprintf(
				"this change was checked against the policies of %d namespaces of %d: there was no time for more", i, len(names)))
			break
		}
		own := s.find(name)
		if own == nil {
			continue // deleted meanwhile
		}
		problems := cluster.With(own.documents).Problems()
		if len(problems) == 0 || len(s.Policies(name).Problems()) > 0 {
			continue
		}
		if broken++; broken <= breaksNamed {
			warnings = append(warnings, fmt.Sprintf("this change makes the policy of namespace %s invalid: %v", name, problems[0]))
		}
	}
	if more := broken - breaksNamed; more > 0 {
		warnings = append(warnings, fmt.Sprintf("and those of %d more namespaces", more))
	}
	return warnings
}

// namespaces returns the names of all namespaces that have a policy of their own, sorted.
func (s *PolicyStore) namespaces() []string {
	var names []string
	for name := range s.each() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
