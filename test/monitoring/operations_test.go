package monitoring

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/test/addon"
)

func operations(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(addon.Root(), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each alert has a runbook under the heading to which its URL leads, and there is no runbook
// without an alert.
func TestRunbooks(t *testing.T) {
	sections := map[string]string{}
	for _, part := range strings.Split(operations(t), "\n#")[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		sections[strings.TrimLeft(heading, "# ")] = body
	}
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if len(strings.Fields(sections[r.Alert])) < 20 {
			t.Errorf("docs/operations.md has no runbook for %s", r.Alert)
		}
	}
	for heading := range sections {
		if strings.HasPrefix(heading, "KubeDNS") && !alerts[heading] {
			t.Errorf("docs/operations.md has a runbook for %s, which is no alert", heading)
		}
	}
}

// logCall is one call that writes to the log.
type logCall struct {
	where string
	level string // Debug, Info, Warn or Error
	text  string // of the message, or its constant beginning
	keys  []string
}

// goFiles calls fn with each Go file of the programs, tests left out.
func goFiles(t *testing.T, fn func(path string, set *token.FileSet, file *ast.File)) {
	t.Helper()
	for _, dir := range []string{"cmd", "pkg"} {
		err := filepath.WalkDir(filepath.Join(addon.Root(), dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err == nil {
				fn(path, set, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// constant returns the value of a string literal, or of the literal that a sum of strings
// begins with.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		return constant(e.X)
	}
	return "", false
}

// logCalls finds the calls of loggers: methods named for the levels whose first argument
// is a message.
func logCalls(t *testing.T) []logCall {
	t.Helper()
	var calls []logCall
	goFiles(t, func(_ string, set *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method.Sel.Name) {
				return true
			}
			if x, ok := method.X.(*ast.Ident); ok && x.Name == "http" || ok && x.Name == "pages" {
				return true
			}
			c := logCall{where: set.Position(call.Pos()).String(), level: method.Sel.Name}
			if c.text, ok = constant(call.Args[0]); !ok {
				t.Errorf("%s: the message does not begin with a constant, so that no document can name it", c.where)
				return true
			}
			c.keys = keysOf(call.Args[1:])
			calls = append(calls, c)
			return true
		})
	})
	if len(calls) < 50 {
		t.Fatalf("only %d calls found", len(calls))
	}
	return calls
}

// keysOf returns the keys in a logger's arguments: every second one that is a literal, and
// those of calls such as slog.String.
func keysOf(args []ast.Expr) (keys []string) {
	for i := 0; i < len(args); i++ {
		if call, ok := args[i].(*ast.CallExpr); ok {
			if key, ok := constant(call.Args[0]); ok {
				keys = append(keys, key)
			}
			continue
		}
		if key, ok := constant(args[i]); ok {
			keys = append(keys, key)
			i++ // its value
		}
	}
	return keys
}

// documented reports whether a document has text in backquotes, or as the beginning of
// what stands in backquotes.
func documented(document, text string) bool {
	return strings.Contains(document, "`"+strings.TrimSpace(text))
}

// dnsmasqWord is how dnscache begins a line in dnsmasq's form that is a warning or an
// error.
var dnsmasqWord = regexp.MustCompile(`^(warning: |error: |FAILED )`)

// docs/operations.md explains each message that is a warning or an error, and says what to
// do.
func TestLogMessagesAreExplained(t *testing.T) {
	document := strings.ReplaceAll(operations(t), "\\|", "|")
	for _, c := range logCalls(t) {
		if (c.level == "Warn" || c.level == "Error") && !documented(document, c.text) {
			t.Errorf("%s: docs/operations.md does not explain %q", c.where, c.text)
		}
	}
	goFiles(t, func(path string, set *token.FileSet, file *ast.File) {
		if !strings.Contains(path, "dnscache") && !strings.Contains(path, "dnsmasq") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok {
				return true
			}
			text, ok := constant(literal)
			word := dnsmasqWord.FindString(text)
			if !ok || word == "" || text == word {
				return true
			}
			if word != "FAILED " {
				text = text[len(word):]
			}
			text, _, _ = strings.Cut(text, "%")
			if !documented(document, text) {
				t.Errorf("%s: docs/operations.md does not explain %q", set.Position(literal.Pos()), text)
			}
			return true
		})
	})
}

// The logs of all programs use one set of keys, which docs/operations.md lists.
func TestLogKeys(t *testing.T) {
	_, table, _ := strings.Cut(operations(t), "\n## Keys of the log")
	table, _, _ = strings.Cut(table, "\n## ")
	used := map[string]bool{"time": true, "level": true, "msg": true}
	for _, c := range logCalls(t) {
		for _, key := range c.keys {
			used[key] = true
			if !strings.Contains(table, "`"+key+"`") {
				t.Errorf("%s: docs/operations.md does not list the key %s", c.where, key)
			}
		}
	}
	goFiles(t, func(_ string, set *token.FileSet, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || method.Sel.Name != "With" && method.Sel.Name != "Add" && method.Sel.Name != "Log" {
				return true
			}
			if x, ok := method.X.(*ast.Ident); !ok || method.Sel.Name == "Add" && x.Name != "record" {
				return true
			}
			for _, key := range keysOf(call.Args) {
				used[key] = true
				if !strings.Contains(table, "`"+key+"`") && regexp.MustCompile(`^[a-z_]+$`).MatchString(key) {
					t.Errorf("%s: docs/operations.md does not list the key %s", set.Position(call.Pos()), key)
				}
			}
			return true
		})
	})
	for _, m := range regexp.MustCompile("(?m)^\\| ((?:`[a-z_]+`(?:, )?)+) \\|").FindAllStringSubmatch(table, -1) {
		for _, key := range regexp.MustCompile("[a-z_]+").FindAllString(m[1], -1) {
			if !used[key] {
				t.Errorf("docs/operations.md lists the key %s, which nothing has", key)
			}
		}
	}
}

// The panels that docs/operations.md names, in italics, are in the dashboard.
func TestPanelsInRunbooks(t *testing.T) {
	titles := map[string]bool{}
	for _, p := range panels(t) {
		titles[p.Title] = true
	}
	names := regexp.MustCompile(`\*([A-Z][^*|]+)\*`).FindAllStringSubmatch(operations(t), -1)
	for _, m := range names {
		if name := strings.Join(strings.Fields(m[1]), " "); !titles[name] {
			t.Errorf("docs/operations.md names a panel %q that the dashboard does not have", name)
		}
	}
	if len(names) < 5 {
		t.Errorf("docs/operations.md names %d panels", len(names))
	}
}

// Sizes from docs/operations.md, in MiB.
func kubednsPeak(services, endpoints float64) float64 {
	return 1.5 * (20 + 1.8*services/1000 + 0.03*endpoints/1000)
}

func dnscacheMost(entries float64) float64 { return 64 + entries/1000 }

// The formulas of docs/operations.md hold for what docs/benchmarks.md has measured, and
// the manifest's limits for the cluster sizes that the document says.
func TestSizing(t *testing.T) {
	document := operations(t)
	for _, formula := range []string{"1.5 × (20 + 1.8 × Services / 1000 + 0.03 × endpoints / 1000)", "64 + entries / 1000"} {
		if !strings.Contains(document, formula) {
			t.Errorf("docs/operations.md does not have the formula %s", formula)
		}
	}
	text, err := os.ReadFile(filepath.Join(addon.Root(), "docs", "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	number := func(text string) float64 {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tables := regexp.MustCompile(`(\d+) Services, (\d+) endpoints: resident memory in MiB\n.*\n\s*kubedns\s+\S+\s+\S+\s+\S+\s+(\S+)\n`).FindAllStringSubmatch(string(text), -1)
	if len(tables) < 4 {
		t.Fatalf("%d tables of memory in docs/benchmarks.md", len(tables))
	}
	for _, m := range tables {
		if peak, most := number(m[3]), kubednsPeak(number(m[1]), number(m[2])); peak > most || most > 3*peak {
			t.Errorf("%s Services, %s endpoints: %.0f MiB by the formula, %.0f measured", m[1], m[2], most, peak)
		}
	}
	cache := regexp.MustCompile(`dnscache-1M\s+\S+\s+\S+\s+\S+\s+\S+\s+(\S+)`).FindStringSubmatch(string(text))
	if cache == nil || number(cache[1]) > dnscacheMost(1e6) {
		t.Errorf("a million entries: %v measured, %.0f by the formula", cache, dnscacheMost(1e6))
	}
	// The largest cluster that Kubernetes supports: 10 000 Services, 150 000 Pods.
	if limit := 170.0; kubednsPeak(10_000, 150_000) > limit || dnscacheMost(1000) > 100 {
		t.Errorf("the manifest's limits do not do for 10 000 Services")
	}
}

// The table of docs/operations.md for clusters of each size follows from the formulas.
func TestCapacityTable(t *testing.T) {
	_, table, _ := strings.Cut(operations(t), "### From 10 to 5000 nodes")
	rows := regexp.MustCompile(`(?m)^\| ([\d ]+) \| ([\d ]+) \| ([\d ]+) \| ([\d ]+) \| ([\d.]+) \| (\d+) MiB \| (\d+) \|$`).FindAllStringSubmatch(table, -1)
	if len(rows) != 5 {
		t.Fatalf("%d rows, want 5", len(rows))
	}
	for _, row := range rows {
		var n [7]float64
		for i := range n {
			v, err := strconv.ParseFloat(strings.ReplaceAll(row[i+1], " ", ""), 64)
			if err != nil {
				t.Fatal(err)
			}
			n[i] = v
		}
		nodes, services, endpoints, queries := n[0], n[1], n[2], n[3]
		cores := 2 * queries * (0.85*7 + 0.15*34) / 1e6
		replicas := max(2, math.Ceil(nodes/64))
		if services != 2*nodes || endpoints != 30*nodes || queries != 40*nodes || math.Abs(n[4]-cores) > 0.1*cores+0.005 ||
			math.Abs(n[5]-kubednsPeak(services, endpoints)) > 1 || n[6] != replicas {
			t.Errorf("%s: want %.3f cores, %.1f MiB, %v replicas", row[0], cores, kubednsPeak(services, endpoints), replicas)
		}
	}
}
