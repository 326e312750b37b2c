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
	b.WriteString(explain.Section("Why:", explain.Numbered(x.Reasons)))
	b.WriteString(explain.Section("Upstream servers:", explain.ServerLines(x.Servers)))
	fmt.Fprintf(&b, "\nThis answer is %s.\n", x.Freshness)
	_, err := io.WriteString(w, explain.Lines(b.String()))
	return err
}
