package status

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	reasons "github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/version"
)

// maxRows is the largest number of rows shown of a table. A configuration may have thousands.
const maxRows = 200

// render returns the sections that do not depend on a request.
func (s *State) render(now time.Time) map[string]string {
	sections := map[string]func(*writer, time.Time){
		"title": func(w *writer, _ time.Time) { w.text(s.Options.Domain.String()) }, "summary": s.writeSummary, "sync": s.writeSync,
		"configuration": s.writeConfiguration, "servers": s.writeServers, "failures": s.writeFailures, "messages": s.writeMessages,
	}
	out := make(map[string]string, len(sections))
	for name, write := range sections {
		var w writer
		write(&w, now)
		out[name] = w.b.String()
	}
	return out
}

func (s *State) writeSummary(w *writer, now time.Time) {
	w.raw("<p>")
	if h := s.readiness(); h.Ready {
		w.badge("ok", "ready")
	} else {
		w.badge("bad", "not ready")
		w.raw(" ")
		w.text(h.Reason)
	}
	if config := s.Config.Status(); config.Rejected != "" {
		w.raw(" ")
		w.badge("warn", "configuration rejected")
	}
	w.raw(` <span class="soft">version `)
	w.text(version.String())
	w.raw(", up for ")
	w.text(span(now.Sub(s.Started)))
	w.raw(`, as of <time datetime="`)
	w.text(now.UTC().Format(time.RFC3339))
	w.raw(`">`)
	w.text(now.UTC().Format(time.DateTime + " UTC"))
	w.raw("</time></span></p>\n")
}

func (s *State) writeSync(w *writer, now time.Time) {
	status := s.Watcher.Status()
	resources := status.Resources
	if status.ClusterSet != nil {
		resources = append(resources, status.ClusterSet.Resource)
	}
	if watch := s.Config.Status().Watch; watch != nil {
		resources = append(resources, *watch)
	}
	w.table("c-sync", "How the lists and watches of each resource go", "Resource", "State", "For", "Last heard", "Lists", "Failed requests", "Last error")
	for i := range resources {
		writeResource(w, now, &resources[i])
	}
	w.endTable()
	w.table("c-counts", "What is in memory", "What", "Number")
	counts := s.Tree.Snapshot().Counts()
	rows := []struct {
		what string
		n    int
	}{
		{"Services", status.Services},
		{"EndpointSlices", status.Slices},
		{"Endpoints", status.Endpoints},
		{"Services with records", counts.Owners},
		{"Reverse names", counts.Reverse},
		{"Services with invalid parts", status.SkippedServices},
		{"Invalid parts, left out of answers", status.SkippedPieces},
	}
	if c := status.ClusterSet; c != nil {
		rows = append(rows, []struct {
			what string
			n    int
		}{{"ServiceImports", c.Imports}, {"Invalid parts of ServiceImports", c.SkippedPieces}}...)
	}
	for _, row := range rows {
		w.raw("<tr>")
		w.header(row.what)
		w.number(uint64(max(row.n, 0)))
		w.raw("</tr>\n")
	}
	w.endTable()
}

func writeResource(w *writer, now time.Time, r *kubewatch.ResourceStatus) {
	w.raw("<tr>")
	w.header(r.Resource)
	switch {
	case !r.Connected:
		w.state(false, "not connected")
	case r.Lists == 0:
		w.state(false, "not listed yet")
	default:
		w.state(true, "connected")
	}
	w.cell("short", span(now.Sub(r.Since)))
	w.age(now, r.LastHeard)
	w.number(r.Lists)
	w.number(r.Failures)
	w.cell("text", r.LastError)
	w.raw("</tr>\n")
}

func (s *State) writeConfiguration(w *writer, now time.Time) {
	config, opts := s.Config.Status(), s.Options
	w.raw("<p>It comes from ")
	w.text(config.Source)
	switch {
	case config.Rejected != "":
		w.raw(". ")
		w.badge("bad", "The newest content is rejected")
		w.raw(" and the previous configuration stays: ")
		w.text(config.Rejected)
	case !config.Applied:
		w.raw(". ")
		w.badge("warn", "It is not loaded yet")
		w.raw("; no upstream server is asked until then")
	case !config.Accepted.IsZero():
		w.raw(", accepted ")
		w.ago(now, config.Accepted)
	}
	w.raw(".</p>\n")
	w.table("c-settings", "Settings", "Setting", "Value")
	row := func(name, value string) {
		w.raw("<tr>")
		w.header(name)
		w.cell("text", value)
		w.raw("</tr>\n")
	}
	row("Cluster domain", opts.Domain.String())
	if opts.ClusterSetDomain != "" {
		row("Clusterset domain", opts.ClusterSetDomain.String())
	}
	row("TTL of records", opts.TTL.String())
	row("TTL of negative answers", opts.NegativeTTL.String())
	row("Completing names of search lists", s.Autopath.Settings().String())
	names := slices.Sorted(maps.Keys(config.Federations))
	for _, name := range names[:min(len(names), maxRows)] {
		row("Federation "+name, config.Federations[name])
	}
	w.endTable()
	w.more(len(names)-maxRows, "see the ConfigMap.")
	s.writeDestinations(w)
}

// writeDestinations writes which upstream servers are asked about which names.
func (s *State) writeDestinations(w *writer) {
	list := s.Routes.Destinations()
	w.table("c-destinations", "Which upstream servers names outside the cluster go to", "Names in", "Upstream servers")
	last := len(list) - 1 // the row for all other names, which is always shown
	for i := range list {
		if i >= maxRows && i != last {
			continue
		}
		d := &list[i]
		w.raw("<tr>")
		if d.Domain == "" {
			w.header("all other names")
		} else {
			w.header(d.Domain)
		}
		w.raw(`<td class="text">`)
		if d.Reason != "" {
			w.badge("bad", "no server")
			w.raw(" ")
			w.text(d.Reason)
		}
		w.text(strings.Join(d.Servers, ", "))
		w.raw("</td></tr>\n")
	}
	w.endTable()
	w.more(last-maxRows, "<code>/readiness?verbose</code> lists all.")
}

func (s *State) writeServers(w *writer, _ time.Time) {
	var servers []reasons.Upstream
	for _, u := range s.Forward.Stats().Upstream.Servers {
		servers = append(servers, reasons.Describe(&u))
	}
	if len(servers) == 0 {
		w.raw("<p>There are none: names outside the cluster cannot be resolved.</p>\n")
		return
	}
	// Servers with problems come first.
	slices.SortStableFunc(servers, func(a, b reasons.Upstream) int { return cmp.Compare(rank(&a), rank(&b)) })
	writeUpstreams(w, "c-servers", "Health since the start of the program; servers that are down come first", servers)
}

func (s *State) writeFailures(w *writer, now time.Time) {
	entries, omitted := s.Failures.Answers()
	if len(entries) == 0 {
		w.raw("<p>No query was answered with SERVFAIL or REFUSED since the start.</p>\n")
		return
	}
	w.table("c-failures", "The last answers with SERVFAIL or REFUSED; equal ones share a row", "Last", "Times", "Name", "Type", "Answer", "From", "Client", "Reason")
	for i := range entries {
		e := &entries[i]
		w.raw("<tr>")
		w.age(now, e.Last)
		w.number(e.Count)
		w.cell("name", e.What.Name)
		w.cell("short", e.What.Type)
		w.cell("short", e.What.Rcode)
		w.cell("short", e.What.Source)
		w.cell("short", e.What.Client)
		w.cell("text", e.What.Reason)
		w.raw("</tr>\n")
	}
	w.endTable()
	if omitted > 0 {
		w.raw("<p>")
		w.text(strconv.FormatUint(omitted, 10))
		w.raw(" further failed answers came too fast to be looked at. The metric <code>kubedns_answers_total</code> counts all.</p>\n")
	}
}

func (s *State) writeMessages(w *writer, now time.Time) {
	entries := s.Failures.Messages()
	if len(entries) == 0 {
		w.raw("<p>The log has no line with WARN or ERROR since the start.</p>\n")
		return
	}
	w.table("c-messages", "The last such lines of the log; equal ones share a row", "Last", "First", "Times", "Level", "Message")
	for i := range entries {
		e := &entries[i]
		w.raw("<tr>")
		w.age(now, e.Last)
		w.age(now, e.First)
		w.number(e.Count)
		w.raw("<td>")
		if e.What.Level == "ERROR" {
			w.badge("bad", e.What.Level)
		} else {
			w.badge("warn", e.What.Level)
		}
		w.raw("</td>")
		w.cell("name", e.What.Text)
		w.raw("</tr>\n")
	}
	w.endTable()
}

// rank returns the sort key of a server: servers with problems come first.
func rank(u *reasons.Upstream) int {
	switch {
	case u.Down, u.Looping:
		return 0
	case u.Problem != "":
		return 1
	}
	return 2
}

// durationText returns the text for an age in an explanation.
func durationText(seconds float64) string {
	return span(time.Duration(seconds * float64(time.Second)))
}
