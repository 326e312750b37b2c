package explain

import (
	"fmt"
	"io"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/explain"
)

// WriteText writes x as text for people.
func (x *Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, ";; QUESTION\n%s\tIN\t%s\n;; STATUS: %s\n", x.Name, x.Type, x.Status)
	b.WriteString(explain.Section(";; ANSWER", x.Answer))
	b.WriteString(explain.Section(";; AUTHORITY", x.Authority))
	if len(x.Search) > 1 {
		var lines []string
		for _, c := range x.Search {
			lines = append(lines, "  "+c.Name+"  "+c.Status)
		}
		b.WriteString(explain.Section("Names tried (search list of the Pod):", lines))
	}
	b.WriteString(explain.Section("Why:", explain.Numbered(x.Reasons)))
	b.WriteString(explain.Section("Upstream servers:", explain.ServerLines(x.Servers)))
	var similar []string
	for _, name := range x.Suggestions {
		similar = append(similar, "  "+name)
	}
	b.WriteString(explain.Section("Similar names that exist:", similar))
	switch {
	case x.Files != "":
		fmt.Fprintf(&b, "\nThe objects are those of %s.\n", x.Files)
	case x.DataAge >= 0:
		fmt.Fprintf(&b, "\nThe API server was last heard %.0f s ago.\n", x.DataAge)
	default:
		b.WriteString("\nThe API server has not been heard yet.\n")
	}
	_, err := io.WriteString(w, explain.Lines(b.String()))
	return err
}
