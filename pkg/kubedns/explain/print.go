package explain

import (
	"fmt"
	"io"

	"github.com/kube-dns/kube-dns/pkg/explain"
)

// WriteText writes x as text for people.
func (x *Explanation) WriteText(w io.Writer) error {
	var tried, similar []string
	for _, c := range x.Search {
		tried = append(tried, "  "+c.Name+"  "+c.Status)
	}
	for _, name := range x.Suggestions {
		similar = append(similar, "  "+name)
	}
	age := "The API server has not been heard yet."
	switch {
	case x.Files != "":
		age = "The objects are those of " + x.Files + "."
	case x.DataAge >= 0:
		age = fmt.Sprintf("The API server was last heard %.0f s ago.", x.DataAge)
	}
	search := ""
	if len(tried) > 1 {
		search = explain.Section("Names tried (search list of the Pod):", tried)
	}
	return x.WriteFindings(w, search, explain.Section("Similar names that exist:", similar)+"\n"+age+"\n")
}
