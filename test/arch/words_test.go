package arch

import (
	"go/ast"
	"go/token"
	"path"
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

// TestFieldsOfLargeStructsAreCommented: in a struct with many fields, a comment on each must
// tell what it means, its unit, and who may use it.
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

// sharedNames are the type names that several packages export, with the reason. Any other
// name belongs to one package, so that a search for it finds one thing.
var sharedNames = map[string]string{
	// What the package before the dot completes: there is one in each package of the kind.
	"Action": "of a step function, with Event", "Do": "the kind of an Action", "Event": "of a step function, or of the forwarder",
	"EventKind": "the kind of an Event", "Machine": "the state of a step function", "Config": "what New takes",
	"Env": "what a package gets from the program", "Kind": "the kinds of what the package is about",
	"Log": "a log of the package's own", "Metrics": "the metrics of the package", "Options": "the flags of a program", "Settings": "what a package is set to",
	"Problem": "what is wrong with the package's data", "Source": "where the package's data comes from", "Sources": "where it comes from",
	"Stats": "the counters of the package", "Status": "the state of the package, for people", "Live": "configuration that changes at run time",
	"Limiter": "what limits a rate", "List": "of what the package is about", "Set": "of what the package is about",
	"Table": "of what the package is about", "Filter": "drops queries, or the options about it", "Handler": "of log records, or of packets",

	// One thing, as two packages see it.
	"Backend": "the interface and what implements it", "Worker": "the interface and what implements it",
	"Part": "the listener's worker of a handler", "Route": "where questions about some names go", "Fault": "of a configuration, or of a server",
	"Verdict": "on a packet, or on a reply", "Sink": "where answers go", "Explainer": "of one program each", "Explanation": "of one program each",
	"Candidate": "a name of a client's search list", "Group": "servers for the same names", "Role": "of a server in its group",
	"Question": "that somebody asks", "Query": "its message, its way through the forwarder, and the policy for it",
	"Reply": "its message, and its way through the forwarder", "QueryLog": "the option and the log",
	"Server": "a DNS server as configured, as asked, or ours", "Upstream": "upstream servers, as configured or as explained",
	"CNAME": "as configured, and as answered", "Record": "a DNS record, in a message, of a Service or in the log", "Answer": "to a client, whole or in words",
	"Entry": "of a log", "Endpoint": "of a Service, or of a connection", "Files": "that configuration is read from",
	"Cache": "the store, and the options about it", "Port": "of a Service, or as the API spells it", "Spec": "as the API spells it, or a row of the options",
}

// TestTypeNames: an exported type name stands for one thing, unless sharedNames
// says why not.
func TestTypeNames(t *testing.T) {
	where := map[string]string{}
	for _, s := range sources(t, "pkg") {
		dir := path.Dir(s.path)
		for _, d := range s.file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				typ := spec.(*ast.TypeSpec)
				if typ.Assign.IsValid() {
					continue // an alias is the same type
				}
				name := typ.Name.Name
				other, taken := where[name]
				if ast.IsExported(name) && taken && other != dir && sharedNames[name] == "" {
					t.Errorf("%s and %s both have a type %s; rename one, or give the reason in sharedNames", other, dir, name)
				}
				where[name] = dir
			}
		}
	}
}
