package explain

import (
	"encoding/json"
	"io"
	"net/http"
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

// Write writes x to w as JSON if output is "json", and otherwise as text.
func Write(w io.Writer, x Explanation, output string) error {
	if output != "json" {
		return x.WriteText(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(x)
}

// Respond answers a request with x in the form that its parameter output asks for.
func Respond(w http.ResponseWriter, r *http.Request, x Explanation) {
	output, content := r.URL.Query().Get("output"), "text/plain; charset=utf-8"
	if output == "json" {
		content = "application/json"
	}
	w.Header().Set("Content-Type", content)
	_ = Write(w, x, output) // the client may have closed the connection
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

// Numbered returns the lines with a number before each.
func Numbered(lines []string) []string {
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
