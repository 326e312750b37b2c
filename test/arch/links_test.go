package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	codePath = regexp.MustCompile("`((?:pkg|cmd|test|hack|docs|manifests)/[A-Za-z0-9_./-]+)`")
)

// TestDocumentsLeadSomewhere: every file that a document links to, and every
// path of this repository that it names, exists.
func TestDocumentsLeadSomewhere(t *testing.T) {
	root := filepath.Join("..", "..")
	var documents []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "manifests/*.md", ".github/*.md", ".github/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	links := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		check := func(name, path string) {
			links++
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s, which does not exist", strings.TrimPrefix(document, root+"/"), name)
			}
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			check(m[1], filepath.Join(filepath.Dir(document), m[1]))
		}
		for _, m := range codePath.FindAllStringSubmatch(string(text), -1) {
			check(m[1], filepath.Join(root, m[1]))
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}
