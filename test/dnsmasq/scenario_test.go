package dnsmasq

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Row is one scenario, and what both programs do in it.
//
// Set-up lines:
//
//	opt WORD...        options besides --cache-size=1000 and --server=$1
//	bare WORD...       options in their place
//	file NAME: TEXT    a file in the folder $DIR; \n is a new line
//	up RULE            how the scripted servers answer, see [rule]; the first
//	                   rule that fits counts
//
// In options $1 to $3 are the servers as ADDRESS#PORT, $SELF is the program's
// own address in that form, $ADDR and $IP1 to $IP3 are without the port, and
// $PORT to $LAST are ports to ask from. A quoted "word" may hold blanks.
//
// Steps are lines too; package client and steps tell what each does.
type Row struct {
	ID, Title string
	Set       []string // set-up lines
	Steps     []string
	Differs   string // why, "" for "same"
	Judged    bool   // whether the row says "same" or "differs"
	Dnsmasq   []string
	Ours      []string
}

// Table is one file of rows.
type Table struct {
	Path    string
	Head    string // prose before the first row
	Rows    []*Row
	LeftOut map[string]string // row number to reason
}

var (
	titleLine   = regexp.MustCompile(`^== (\S+) (.+)$`)
	leftOutLine = regexp.MustCompile(`^left out (\d+): (.+)$`)
	setUpLine   = regexp.MustCompile(`^(opt|bare|file|up)( |$)`)
)

// ReadTable reads a file of rows.
func ReadTable(path string) (*Table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &Table{Path: path, LeftOut: map[string]string{}}
	var row *Row
	for i, line := range strings.Split(string(text), "\n") {
		if m := titleLine.FindStringSubmatch(line); m != nil {
			row = &Row{ID: m[1], Title: m[2]}
			t.Rows = append(t.Rows, row)
			continue
		}
		if row == nil {
			t.Head += line + "\n"
			if m := leftOutLine.FindStringSubmatch(line); m != nil {
				t.LeftOut[m[1]] = m[2]
			}
			continue
		}
		if err := row.addLine(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	return t, nil
}

func (r *Row) addLine(line string) error {
	switch {
	case strings.TrimSpace(line) == "":
	case strings.HasPrefix(line, "  "):
		r.Dnsmasq, r.Ours = append(r.Dnsmasq, line[2:]), append(r.Ours, line[2:])
	case strings.HasPrefix(line, "- "):
		r.Dnsmasq = append(r.Dnsmasq, line[2:])
	case strings.HasPrefix(line, "+ "):
		r.Ours = append(r.Ours, line[2:])
	case line == "same":
		r.Judged = true
	case strings.HasPrefix(line, "differs: "):
		r.Judged, r.Differs = true, strings.TrimPrefix(line, "differs: ")
	case r.Judged:
		return fmt.Errorf("row %s: %q is not part of a story", r.ID, line)
	case setUpLine.MatchString(line):
		r.Set = append(r.Set, line)
	default:
		r.Steps = append(r.Steps, line)
	}
	return nil
}

// String returns the row in the form of its file.
func (r *Row) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "== %s %s\n", r.ID, r.Title)
	for _, line := range append(append([]string(nil), r.Set...), r.Steps...) {
		fmt.Fprintln(&b, line)
	}
	switch {
	case r.Differs != "":
		fmt.Fprintln(&b, "differs: "+r.Differs)
	case len(r.Dnsmasq) > 0:
		fmt.Fprintln(&b, "same")
	}
	for i := range max(len(r.Dnsmasq), len(r.Ours)) {
		var d, o string
		if i < len(r.Dnsmasq) {
			d = r.Dnsmasq[i]
		}
		if i < len(r.Ours) {
			o = r.Ours[i]
		}
		if d == o {
			fmt.Fprintln(&b, "  "+d)
			continue
		}
		if d != "" {
			fmt.Fprintln(&b, "- "+d)
		}
		if o != "" {
			fmt.Fprintln(&b, "+ "+o)
		}
	}
	return b.String()
}

// Write writes the table back.
func (t *Table) Write() error {
	var b strings.Builder
	b.WriteString(strings.TrimRight(t.Head, "\n") + "\n")
	for _, r := range t.Rows {
		b.WriteString("\n" + r.String())
	}
	return os.WriteFile(t.Path, []byte(b.String()), 0o644)
}

// fits reports whether a line of a story is as written. It must be equal, except that TTLs in
// an answer for which no server was asked ("up 0") may be lower by three seconds or a
// quarter.
func fits(want, got string) bool {
	if want == got {
		return true
	}
	if !strings.HasSuffix(want, "| up 0") && !strings.Contains(want, "| up 0 |") {
		return false
	}
	w, g := ttlInLine.FindAllStringSubmatch(want, -1), ttlInLine.FindAllStringSubmatch(got, -1)
	if len(w) != len(g) || ttlInLine.ReplaceAllString(want, ". T $2") != ttlInLine.ReplaceAllString(got, ". T $2") {
		return false
	}
	for i := range w {
		a, errA := strconv.ParseUint(w[i][1], 10, 32)
		b, errB := strconv.ParseUint(g[i][1], 10, 32)
		if errA != nil || errB != nil || b > a || b+max(3, a/4) < a || b == 0 && a > 0 {
			return false
		}
	}
	return true
}

// agree makes lines equal that differ only in TTLs within the tolerance.
func (r *Row) agree() {
	for i := range min(len(r.Dnsmasq), len(r.Ours)) {
		switch d, o := &r.Dnsmasq[i], &r.Ours[i]; {
		case fits(*d, *o):
			*o = *d
		case fits(*o, *d):
			*d = *o
		}
	}
}

var ttlInLine = regexp.MustCompile(`\. (\d+) ([A-Z])`)

// words splits a line at blanks that are not in double quotes.
func words(line string) []string {
	var list []string
	var word strings.Builder
	quoted, inWord := false, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case c == ' ' && !quoted:
			if inWord {
				list = append(list, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		list = append(list, word.String())
	}
	return list
}
