package arch

import (
	"go/ast"
	"slices"
	"testing"
)

// largeStruct is the number of fields from which every field of a struct needs a
// comment.
const largeStruct = 8

// bareNames are names of functions and methods that do not say what the function works
// on, and that nobody can search for.
var bareNames = []string{"add", "become", "give", "handle", "known", "place", "settle", "take", "tell"}

// wordsDirs are the folders that the tests in this file judge.
var wordsDirs = []string{"cmd", "hack", "pkg"}

// TestFieldsOfLargeStructsAreCommented: who changes a struct with many fields must be told
// what each of them means, in which unit it is, and who may use it.
func TestFieldsOfLargeStructsAreCommented(t *testing.T) {
	for _, dir := range wordsDirs {
		for _, s := range sources(t, dir) {
			ast.Inspect(s.file, func(n ast.Node) bool {
				st, ok := n.(*ast.StructType)
				if !ok || st.Fields.NumFields() < largeStruct {
					return true
				}
				for _, f := range st.Fields.List {
					if f.Doc == nil && f.Comment == nil {
						t.Errorf("%s:%d: a field of a struct with %d fields has no comment",
							s.path, s.set.Position(f.Pos()).Line, st.Fields.NumFields())
					}
				}
				return true
			})
		}
	}
}

// TestFunctionNamesSayWhat: a function or method has a name that says what it works on.
func TestFunctionNamesSayWhat(t *testing.T) {
	for _, dir := range wordsDirs {
		for _, s := range sources(t, dir) {
			for _, d := range s.file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && slices.Contains(bareNames, f.Name.Name) {
					t.Errorf("%s:%d: the name %q does not say what the function works on",
						s.path, s.set.Position(f.Pos()).Line, f.Name.Name)
				}
			}
		}
	}
}
