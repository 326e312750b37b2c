package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Exit codes of the subcommand.
const (
	ExitAnswer   = 0 // records of the type
	ExitFailure  = 2 // SERVFAIL, REFUSED, no answer, wrong flags, no data
	ExitNXDomain = 3 // the name does not exist
	ExitNoData   = 4 // the name exists, but has no records of the type
)

// ExitCode returns the exit code for x.
func (x *Explanation) ExitCode() int {
	switch x.Status {
	case "NOERROR":
		return ExitAnswer
	case "NXDOMAIN":
		return ExitNXDomain
	case NoData:
		return ExitNoData
	}
	return ExitFailure
}

// WriteJSON writes x as JSON.
func (x *Explanation) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(x)
}

// WriteText writes x for people.
func (x *Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, ";; QUESTION\n%s\tIN\t%s\n;; STATUS: %s\n", x.Name, x.Type, x.Status)
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n%s\n", title, strings.Join(lines, "\n"))
		}
	}
	section(";; ANSWER", x.Answer)
	section(";; AUTHORITY", x.Authority)
	if len(x.Search) > 1 {
		var lines []string
		for _, c := range x.Search {
			lines = append(lines, "  "+c.Name+"  "+c.Status)
		}
		section("Names tried (search list of the Pod):", lines)
	}
	var reasons []string
	for i, r := range x.Reasons {
		reasons = append(reasons, fmt.Sprintf("%3d. %s", i+1, r))
	}
	section("Why:", reasons)
	var servers []string
	for _, s := range x.Servers {
		state := "up"
		if s.Down {
			state = "DOWN (probed once a second)"
		}
		line := fmt.Sprintf("  %s  %s, %d answers, %d failures", s.Address, state, s.Answers, s.Fails)
		if s.RTT != "" {
			line += ", round trip " + s.RTT
		}
		if s.Problem != "" {
			line += ": " + s.Problem
		}
		servers = append(servers, line)
	}
	section("Upstream servers:", servers)
	section("Similar names that exist:", indent(x.Suggestions))
	if x.DataAge >= 0 {
		fmt.Fprintf(&b, "\nThe API server was last heard %.0f s ago.\n", x.DataAge)
	} else {
		b.WriteString("\nThe API server has not been heard yet.\n")
	}
	_, err := io.WriteString(w, printable(b.String()))
	return err
}

func indent(lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, "  "+l)
	}
	return out
}

// printable replaces control characters, which names may hold, so that no name can
// control the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
