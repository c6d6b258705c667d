// Package ast declares the syntax tree of job inputs.
package ast

// Expr is a node.
type Expr interface{ Walk(Visitor) (Expr, error) }

// Visitor is called for nodes.
type Visitor interface {
	Enter(Expr) (Visitor, error)
	Exit(Expr) (Expr, error)
}

// Template is the node of an interpolation.
type Template struct{}

// Walk visits the node alone.
func (t *Template) Walk(Visitor) (Expr, error) { return t, nil }
