// The junit command prints the results in JUnit files as a Markdown table: one line for
// each spec that ran, with its result and time in each file. With -w it replaces the
// text between the markers of that name in a document.
//
//	junit [-w docs/proof.md] dist/conformance/*.xml
package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	document := flag.String("w", "", "`file` whose part between the conformance markers is replaced")
	flag.Parse()
	if err := run(*document, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "junit:", err)
		os.Exit(1)
	}
}

// suite is the part of a JUnit file that the table shows.
type suite struct {
	Cases []testcase `xml:"testsuite>testcase"`
}

type testcase struct {
	Name   string  `xml:"name,attr"`
	Status string  `xml:"status,attr"`
	Time   float64 `xml:"time,attr"`
}

func run(document string, files []string) error {
	if len(files) == 0 {
		return errors.New("no files given; usage: junit [-w DOCUMENT] FILE")
	}
	var suites []suite
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var s suite
		if err := xml.Unmarshal(data, &s); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		suites = append(suites, s)
	}
	out := table(files, suites)
	if document == "" {
		_, err := os.Stdout.Write(out)
		return err
	}
	return replace(document, out)
}

// labels matches the list of a spec's labels at the end of its name.
var labels = regexp.MustCompile(` \[[^\]]*\]$`)

// table renders a table of the specs that ran in any of the suites.
func table(files []string, suites []suite) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Run on %s.\n\n| Spec |", time.Now().UTC().Format(time.DateOnly))
	for _, file := range files {
		fmt.Fprintf(&b, " %s |", strings.TrimSuffix(filepath.Base(file), ".xml"))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(files)) + "\n")
	results := make([]map[string]string, len(suites))
	var names []string
	for i, s := range suites {
		results[i] = map[string]string{}
		for _, c := range s.Cases {
			if c.Status == "skipped" || !strings.HasPrefix(c.Name, "[It] ") {
				continue
			}
			name := labels.ReplaceAllString(strings.TrimPrefix(c.Name, "[It] "), "")
			results[i][name] = fmt.Sprintf("%s, %.0f s", c.Status, c.Time)
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		fmt.Fprintf(&b, "| %s |", strings.ReplaceAll(name, "|", `\|`))
		for _, result := range results {
			if text, ok := result[name]; ok {
				fmt.Fprintf(&b, " %s |", text)
			} else {
				b.WriteString(" not run |")
			}
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

const (
	begin = "<!-- conformance: begin -->\n"
	end   = "<!-- conformance: end -->\n"
)

// replace puts part between the markers of a document.
func replace(document string, part []byte) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no markers %q and %q", document, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(document, slices.Concat(before, []byte(begin+"\n"), part, []byte("\n"+end), after), 0o644)
}
