package policydoc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// source holds what only the source text of package config contains: doc comments, the constants of a type, a regular
// expression.
type source struct {
	types     map[string]string            // a type's doc, by its name
	fields    map[string]map[string]string // a field's doc, by the struct's name and the field's
	constants map[string][]string          // a type's constants, in their order
	notes     map[string]string            // what a type's constants have to say beyond naming them
	image     string                       // the pattern of an image reference

	values map[string]string // a constant's value, by its name
}

// readSource reads the files of package config that types and patterns are written in.
func readSource(dir string) (*source, error) {
	s := &source{
		types: map[string]string{}, fields: map[string]map[string]string{}, constants: map[string][]string{},
		notes: map[string]string{}, values: map[string]string{},
	}
	for _, name := range []string{"types.go", "engine.go", "validate_container.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, declaration := range file.Decls {
			if d, ok := declaration.(*ast.GenDecl); ok {
				s.declaration(d)
			}
		}
	}
	if s.image == "" {
		return nil, fmt.Errorf("%s has no regular expression named imageReference", dir)
	}
	return s, nil
}

func (s *source) declaration(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			name := spec.Name.Name
			s.types[name] = text(d.Doc)
			if structure, ok := spec.Type.(*ast.StructType); ok {
				s.fields[name] = map[string]string{}
				for _, field := range structure.Fields.List {
					for _, ident := range field.Names {
						s.fields[name][ident.Name] = text(field.Doc)
					}
				}
			}
		case *ast.ValueSpec:
			s.value(d, spec)
		}
	}
}

// value takes a constant of a type of its own, or the pattern out of a call of regexp.MustCompile.
func (s *source) value(d *ast.GenDecl, spec *ast.ValueSpec) {
	if len(spec.Values) != 1 {
		return
	}
	name := spec.Names[0].Name
	if call, ok := spec.Values[0].(*ast.CallExpr); ok && name == "imageReference" {
		s.image = literal(call.Args[0])
	}
	value := literal(spec.Values[0])
	if d.Tok != token.CONST || value == "" {
		return
	}
	s.values[name] = value
	if typ, ok := spec.Type.(*ast.Ident); ok {
		s.constants[typ.Name] = append(s.constants[typ.Name], value)
		// The first sentence names the constants' type; what follows says what they do.
		if _, rest, more := strings.Cut(text(d.Doc), ". "); more {
			s.notes[typ.Name] = rest
		}
	}
}

func literal(e ast.Expr) string {
	basic, ok := e.(*ast.BasicLit)
	if !ok || basic.Kind != token.STRING {
		return ""
	}
	value, _ := strconv.Unquote(basic.Value)
	return value
}

func text(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }

var identifier = regexp.MustCompile(`\b[A-Z]\w+\b`)

// rewrite makes a Go doc one of the document: the field has its name there, and a constant its value.
func (s *source) rewrite(doc, goName, name string) string {
	doc = strings.Join(strings.Fields(doc), " ")
	doc = identifier.ReplaceAllStringFunc(doc, func(word string) string {
		if value, ok := s.values[word]; ok && word != "Kind" && word != "APIVersion" {
			return value
		}
		return word
	})
	// "HostPath is ..." is about the field; "Name of ..." is not.
	first := regexp.MustCompile(`^` + regexp.QuoteMeta(goName) + ` (are|also|\w+s)\b`)
	return first.ReplaceAllString(doc, name+" $1")
}
