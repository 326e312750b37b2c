package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The exit codes of the subcommands.
const (
	ExitAnswer   = 0 // records of the type
	ExitFailure  = 2 // SERVFAIL, REFUSED, no answer, wrong flags, no data
	ExitNXDomain = 3 // the name does not exist
	ExitNoData   = 4 // the name exists, but has no records of the type
)

// ExitCode returns the exit code of the subcommand for a status.
func ExitCode(status string) int {
	switch status {
	case "NOERROR":
		return ExitAnswer
	case "NXDOMAIN":
		return ExitNXDomain
	case NoData:
		return ExitNoData
	}
	return ExitFailure
}

// Explanation is what the programs print.
type Explanation interface {
	// WriteText writes the explanation as text for people.
	WriteText(w io.Writer) error
}

// Findings are what the explanations of all programs have.
type Findings struct {
	// Name and Type are the name and type in the question.
	Name string `json:"name"`
	Type string `json:"type"` // see Name
	// Status is the name of the rcode, NODATA or NOREPLY.
	Status string `json:"status"`
	// Answer holds the records of the answer section, and Authority those of the authority
	// section, in the form of dig.
	Answer    []string `json:"answer,omitempty"`
	Authority []string `json:"authority,omitempty"` // see Answer
	// ExtendedError is the reason in the answer itself (RFC 8914); "" if it has none.
	ExtendedError string `json:"extendedError,omitempty"`
	// Reasons say, step by step, how the answer came about.
	Reasons []string `json:"reasons"`
	// Servers are the upstream servers that are asked about the name, if the program does not
	// answer it itself.
	Servers []Upstream `json:"servers,omitempty"`
}

// SetAnswer sets the status, the records and the reason to those of a.
func (x *Findings) SetAnswer(a *Answer) {
	x.Status, x.Answer, x.Authority, x.ExtendedError = a.Status, a.Records, a.Authority, a.Reason
}

// Addf adds a reason, up to MaxLines.
func (x *Findings) Addf(format string, args ...any) {
	switch {
	case len(x.Reasons) < MaxLines:
		x.Reasons = append(x.Reasons, Line(fmt.Sprintf(format, args...)))
	case len(x.Reasons) == MaxLines:
		x.Reasons = append(x.Reasons, "... and more that is not shown")
	}
}

// WriteFindings writes x as text for people, with tried after the answer and more at the end.
func (x *Findings) WriteFindings(w io.Writer, tried, more string) error {
	text := fmt.Sprintf(";; QUESTION\n%s\tIN\t%s\n;; STATUS: %s\n", x.Name, x.Type, x.Status) +
		Section(";; ANSWER", x.Answer) + Section(";; AUTHORITY", x.Authority) + tried +
		Section("Why:", numbered(x.Reasons)) + Section("Upstream servers:", serverLines(x.Servers)) + more
	_, err := io.WriteString(w, Lines(text))
	return err
}

// Write writes x to w as JSON if output is "json", and otherwise as text.
func Write(w io.Writer, x Explanation, output string) error {
	if output != "json" {
		return x.WriteText(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(x)
}

// Line returns text in which everything is escaped that could control a terminal, begin another
// line or change the direction of writing: control and format characters, unusual spaces, and
// octets that are not UTF-8. Use it for names, annotations, errors and texts of other servers.
func Line(text string) string { return escape(text, "") }

// Lines is like Line, but keeps line breaks and tabs.
func Lines(text string) string { return escape(text, "\n\t") }

func escape(text, allowed string) string {
	plain := func(r rune, size int) bool {
		return unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) || strings.ContainsRune(allowed, r)
	}
	clean := true
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); !plain(r, size) {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case plain(r, size):
			b.WriteString(text[:size])
		default:
			quoted := strconv.QuoteToASCII(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}

// numbered returns the lines with a number before each.
func numbered(lines []string) []string {
	out := make([]string, 0, len(lines))
	for i, l := range lines {
		number := strconv.Itoa(i + 1)
		out = append(out, strings.Repeat(" ", max(3-len(number), 0))+number+". "+l)
	}
	return out
}

// Section returns an empty line, the title and the lines. It returns "" if there are no lines.
func Section(title string, lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "\n" + title + "\n" + strings.Join(lines, "\n") + "\n"
}
