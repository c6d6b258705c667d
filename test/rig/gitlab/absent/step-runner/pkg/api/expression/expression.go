// Package expression declares what evaluates job inputs. Jobs of tests have none.
package expression

import (
	"errors"

	"gitlab.com/gitlab-org/moa/ast"
	"gitlab.com/gitlab-org/moa/value"
)

// Sensitive marks a value that is a secret.
const Sensitive uint16 = 1

// Input is an input.
type Input struct {
	Key   string
	Value value.Value
}

// Evaluator evaluates.
type Evaluator struct{}

// NewEvaluator fails.
func NewEvaluator(value.Value) (*Evaluator, error) {
	return nil, errors.New("job inputs are not part of this build")
}

// Eval returns null.
func (*Evaluator) Eval(string, ast.Expr) (value.Value, error) { return value.Null(), nil }
