// Package moa declares what GitLab Runner uses of the language of job inputs. Jobs of tests have no inputs.
package moa

import (
	"errors"

	"gitlab.com/gitlab-org/moa/ast"
)

// ParseTemplate would parse a text with inputs.
func ParseTemplate(string) (ast.Expr, error) {
	return nil, errors.New("job inputs are not part of this build")
}

// EscapeTemplate would escape what looks like an input.
func EscapeTemplate(text string) string { return text }
