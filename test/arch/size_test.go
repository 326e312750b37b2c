package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Limits of size. They keep each piece small enough to read in one go; a piece
// that outgrows them holds two subjects.
const (
	maxFileLines = 500
	maxFuncLines = 60 // from the line of the opening brace to that of the closing one
	maxParams    = 5

	maxMainFileLines = 150
	maxMainLines     = 600
)

// source is one Go file of a program or a package.
type source struct {
	path  string // from the root of the module
	lines int
	set   *token.FileSet
	file  *ast.File
}

// sources parses the Go files below dir that match, tests left out.
func sources(t *testing.T, dir string) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []source
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		all = append(all, source{filepath.ToSlash(rel), strings.Count(string(text), "\n"), set, file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no Go files in %s", dir)
	}
	return all
}

func TestFilesAreShort(t *testing.T) {
	for _, dir := range []string{"cmd", "pkg"} {
		for _, s := range sources(t, dir) {
			if s.lines > maxFileLines {
				t.Errorf("%s has %d lines, at most %d are allowed", s.path, s.lines, maxFileLines)
			}
		}
	}
}

func TestFunctionsAreShort(t *testing.T) {
	for _, dir := range []string{"cmd", "pkg"} {
		for _, s := range sources(t, dir) {
			for _, d := range s.file.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				if n := s.set.Position(fn.Body.End()).Line - s.set.Position(fn.Body.Pos()).Line; n > maxFuncLines {
					t.Errorf("%s: %s has %d lines, at most %d are allowed", s.path, fn.Name.Name, n, maxFuncLines)
				}
			}
		}
	}
}

// thinPrograms are those that TestProgramsAreThin judges.
var thinPrograms = []string{"kubedns", "dnscache", "exechealthz"}

// TestProgramsAreThin: a main package reads its flags, connects packages and runs them.
// Everything else belongs in a package.
func TestProgramsAreThin(t *testing.T) {
	for _, program := range thinPrograms {
		total := 0
		for _, s := range sources(t, filepath.Join("cmd", program)) {
			total += s.lines
			if s.lines > maxMainFileLines {
				t.Errorf("%s has %d lines, at most %d are allowed", s.path, s.lines, maxMainFileLines)
			}
		}
		if total > maxMainLines {
			t.Errorf("cmd/%s has %d lines, at most %d are allowed", program, total, maxMainLines)
		}
	}
}

// TestParametersAreFew: more than five parameters should be a struct with a name.
func TestParametersAreFew(t *testing.T) {
	for _, dir := range []string{"cmd", "pkg"} {
		for _, s := range sources(t, dir) {
			ast.Inspect(s.file, func(n ast.Node) bool {
				fn, ok := n.(*ast.FuncType)
				if ok && fn.Params.NumFields() > maxParams {
					t.Errorf("%s: a function has %d parameters, at most %d are allowed",
						s.set.Position(fn.Pos()), fn.Params.NumFields(), maxParams)
				}
				return true
			})
		}
	}
}
