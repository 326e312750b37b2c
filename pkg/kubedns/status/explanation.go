package status

import (
	"slices"

	reasons "github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/explain"
)

// writeForm writes the fields of the search form, filled with the question.
func writeForm(w *writer, q *explain.Question) {
	w.raw(`<p><label for="f-name">Domain name</label><input id="f-name" type="search" name="name" required maxlength="1024" autocomplete="off" autocapitalize="none" spellcheck="false" value="`)
	w.text(q.Name)
	w.raw(`"></p>
<p><label for="f-type">Record type</label><select id="f-type" name="type">`)
	types := []string{"A", "AAAA", "SRV", "CNAME", "PTR", "TXT", "MX", "NS", "SOA"}
	if q.Type != "" && !slices.Contains(types, q.Type) {
		types = append(types, q.Type)
	}
	for _, t := range types {
		w.raw("<option")
		if t == q.Type {
			w.raw(" selected")
		}
		w.raw(">")
		w.text(t)
		w.raw("</option>")
	}
	w.raw(`</select></p>
<p><label for="f-namespace">Namespace of the Pod that asks</label><input id="f-namespace" name="namespace" maxlength="63" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="default" value="`)
	w.text(q.Namespace)
	w.raw(`"></p>`)
}

// writeExplanation writes an explanation as HTML.
func writeExplanation(w *writer, x *explain.Explanation) {
	w.raw(`<div role="status"><h3>`)
	w.text(x.Name + " " + x.Type)
	w.raw(": ")
	if x.Status == "NOERROR" {
		w.badge("ok", x.Status)
	} else {
		w.badge("bad", x.Status)
	}
	w.raw("</h3>\n")
	writeRecords(w, "Answer", x.Answer)
	writeRecords(w, "Authority", x.Authority)
	if len(x.Search) > 1 {
		w.raw("<h3>Names tried, by the search list of a Pod</h3>\n<ol>\n")
		for _, c := range x.Search {
			w.raw("<li>")
			w.text(c.Name + " ")
			w.raw("<strong>")
			w.text(c.Status)
			w.raw("</strong></li>\n")
		}
		w.raw("</ol>\n")
	}
	w.raw("<h3>Why</h3>\n<ol>\n")
	for _, reason := range x.Reasons {
		w.raw("<li>")
		w.text(reason)
		w.raw("</li>\n")
	}
	w.raw("</ol>\n")
	if len(x.Servers) > 0 {
		writeUpstreams(w, "c-asked", "Upstream servers for the name", x.Servers)
	}
	if len(x.Suggestions) > 0 {
		w.raw("<h3>Similar names that exist</h3>\n<ul>\n")
		for _, name := range x.Suggestions {
			w.raw("<li>")
			w.text(name)
			w.raw("</li>\n")
		}
		w.raw("</ul>\n")
	}
	w.raw(`<p class="soft">`)
	switch {
	case x.Files != "":
		w.raw("The objects are those of ")
		w.text(x.Files)
		w.raw(".")
	case x.DataAge < 0:
		w.raw("The API server has not been heard yet.")
	default:
		w.raw("The API server was last heard ")
		w.text(durationText(x.DataAge))
		w.raw(" ago.")
	}
	w.raw("</p></div>\n")
}

func writeRecords(w *writer, title markup, records []string) {
	if len(records) == 0 {
		return
	}
	w.raw("<h3>", title, "</h3>\n<pre>")
	for _, r := range records {
		w.text(r)
		w.raw("\n")
	}
	w.raw("</pre>\n")
}

// writeUpstreams writes a table of upstream servers.
func writeUpstreams(w *writer, id, caption markup, servers []reasons.Upstream) {
	w.table(id, caption, "Server", "State", "Questions", "Replies", "Failures", "Round trip", "Last error")
	for i := range servers[:min(len(servers), maxRows)] {
		u := &servers[i]
		w.raw("<tr>")
		w.header(u.Address)
		switch {
		case u.Looping:
			w.state(false, "sends questions back; asked once a minute")
		case u.Down:
			w.state(false, "down; asked once a second")
		case u.Problem != "":
			w.state(false, u.Problem)
		case u.Answers == 0 && u.Fails == 0:
			w.raw("<td>not asked yet</td>")
		default:
			w.state(true, "up")
		}
		w.number(u.Sent)
		w.number(u.Answers)
		w.number(u.Fails)
		w.cell("number", u.RTT)
		problem := ""
		if u.LastError != "" {
			problem = durationText(u.LastErrorAge) + " ago: " + u.LastError
		}
		w.cell("text", problem)
		w.raw("</tr>\n")
	}
	w.endTable()
	w.more(len(servers)-maxRows, "see the metrics.")
}

// writeError writes the reason why there is no explanation.
func writeError(w *writer, err error) {
	w.raw(`<p role="alert">`)
	w.badge("bad", "No explanation")
	w.raw(" ")
	w.text(err.Error())
	w.raw("</p>\n")
}
