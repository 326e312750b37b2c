package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLessonsHaveTests: every test that docs/lessons.md names exists in the
// package that it names.
func TestLessonsHaveTests(t *testing.T) { namesTests(t, "lessons.md", 3, 20) }

// TestRowsOfTLSHaveTests is TestLessonsHaveTests for the rows about DNS over TLS.
func TestRowsOfTLSHaveTests(t *testing.T) { namesTests(t, "reference/dns-over-tls.md", 4, 48) }

// namesTests checks the tests that are named in the last one of columns in the tables of a
// document, which have at least a number of rows.
func namesTests(t *testing.T, document string, columns, least int) {
	t.Helper()
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	var (
		group = regexp.MustCompile("`([a-z/]+)` ([A-Za-z0-9, ]+)")
		name  = regexp.MustCompile(`(Test|Fuzz)\w+`)
		rows  int
	)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != columns || !strings.Contains(cells[columns-1], "`") {
			continue
		}
		rows++
		groups := group.FindAllStringSubmatch(cells[columns-1], -1)
		if len(groups) == 0 {
			t.Errorf("no test for%s", cells[0])
		}
		for _, g := range groups {
			code := testFiles(t, filepath.Join(root, g[1]))
			names := name.FindAllString(g[2], -1)
			if len(names) == 0 {
				t.Errorf("%s: no test of %s is named", cells[0], g[1])
			}
			for _, fn := range names {
				if !strings.Contains(code, "\nfunc "+fn+"(") {
					t.Errorf("%s has no %s", g[1], fn)
				}
			}
		}
	}
	if rows < least {
		t.Errorf("only %d rows were understood", rows)
	}
}

// testFiles is the text of a package's tests.
func testFiles(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("tests of %s: %v, %v", dir, paths, err)
	}
	var b strings.Builder
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}
