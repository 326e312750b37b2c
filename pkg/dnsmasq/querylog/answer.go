package querylog

import (
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// answerLines returns one line for each record of an answer, and one for what it lacks.
func answerLines(source string, e *forwarder.Event) []string {
	if e.Rcode != wire.RcodeSuccess && e.Rcode != wire.RcodeNXDomain {
		return []string{source + " error is " + rcodeText(e.Rcode) + reasonText(e)}
	}
	a := answer{event: e, source: source, last: NameText(e.Name), negative: source}
	if e.HasReason && e.Reason == wire.EDEBlocked && e.Kind == forwarder.EventReply {
		return a.blocked()
	}
	if e.HasReason && e.Reason == wire.EDEFiltered {
		a.negative = ConfigSource // the records that a filter removed are not the server's to lack
	}
	for rec := range Records(e.Msg) {
		a.record(&rec)
	}
	if text := a.lacks(); text != "" {
		a.line(a.negative, a.lastName(), text)
	}
	return a.lines
}

// answer is an answer whose lines are being made.
type answer struct {
	event    *forwarder.Event
	source   string   // what lines about records begin with
	negative string   // what the line about what is lacking begins with
	last     string   // the name at the end of the chain of aliases so far
	found    bool     // there is a record of the type that was asked for
	lines    []string // so far
}

// line appends a line.
func (a *answer) line(source, name, value string) {
	a.lines = append(a.lines, source+" "+name+" is "+value)
}

// record appends the lines about a record.
func (a *answer) record(rec *Record) {
	e := a.event
	owner := NameText(rec.Owner)
	if strings.EqualFold(owner, a.last) {
		owner = a.last // as the alias spells it
	}
	if rec.Type == wire.TypeCNAME {
		a.found = a.found || e.Type == wire.TypeCNAME
		a.line(a.source, owner, "<CNAME>")
		if target, ok := rec.Name(); ok {
			a.last = NameText(target)
		}
		return
	}
	a.found = a.found || rec.Type == e.Type
	for _, value := range a.values(rec) {
		if rec.Type == wire.TypePTR && value[0] != '<' {
			owner = a.pointed(rec.Owner, owner)
		}
		a.line(a.source, owner, value)
	}
}

// values returns what to show of a record: one text for each line.
func (a *answer) values(rec *Record) []string {
	local := a.event.Kind == forwarder.EventLocal
	byType := []string{"<" + TypeText(rec.Type) + ">"}
	if local && a.event.Source == "" || !local && rec.Type != a.event.Type {
		return byType // what options like --dns-rr give, or what nobody asked for
	}
	if addr, ok := rec.Addr(); ok {
		return []string{addr.String()}
	}
	switch {
	case rec.Type == wire.TypePTR:
		if target, ok := rec.Name(); ok {
			return []string{NameText(target)}
		}
	case rec.Type == wire.TypeTXT && !local:
		return texts(rec.data)
	}
	return byType
}

// pointed returns what to call the owner of a PTR record: the address that was asked about.
func (a *answer) pointed(wireName []byte, text string) string {
	for _, name := range [][]byte{a.event.Name, wireName} {
		if addr, ok := dnsname.ReverseAddr(dnsname.AppendLower(nil, name)); ok {
			return addr.String()
		}
	}
	return text
}

// lastName returns what to call the name at the end of the chain of aliases.
func (a *answer) lastName() string {
	e := a.event
	if e.Type != wire.TypePTR || e.Kind == forwarder.EventLocal || a.last != NameText(e.Name) {
		return a.last
	}
	return a.pointed(e.Name, a.last)
}

// lacks returns the word for what the answer lacks, or "".
func (a *answer) lacks() string {
	e := a.event
	local := e.Kind == forwarder.EventLocal
	switch {
	case e.Rcode == wire.RcodeNXDomain:
		return "NXDOMAIN"
	case a.found:
		return ""
	case local && e.HasReason && e.Reason == wire.EDEFiltered: // without a look at the name's records
		return "NODATA"
	case e.Type == wire.TypeA:
		return "NODATA-IPv4"
	case e.Type == wire.TypeAAAA:
		return "NODATA-IPv6"
	case e.Type == wire.TypePTR && !local:
		if addr, ok := dnsname.ReverseAddr(dnsname.AppendLower(nil, e.Name)); ok {
			if addr.Is4() {
				return "NODATA-IPv4"
			}
			return "NODATA-IPv6"
		}
	case e.Type == wire.TypeANY && (!local || len(a.lines) > 0):
		return ""
	}
	return "NODATA"
}

// blocked returns the lines about a reply that was replaced because of an address in it. After
// --stop-dns-rebind there is a message of its own.
func (a *answer) blocked() []string {
	for rec := range Records(a.event.Msg) {
		if rec.Type == wire.TypeCNAME {
			a.record(&rec)
		}
	}
	if a.event.Rcode != wire.RcodeNXDomain {
		return a.lines
	}
	return []string{ConfigSource + " " + a.last + " is NXDOMAIN"}
}

// texts returns the strings of a TXT record. Octets that could forge or split a line are
// replaced by dots.
func texts(data []byte) []string {
	var list []string
	for len(data) > 0 {
		size := min(int(data[0]), len(data)-1)
		text := make([]byte, size)
		for i, c := range data[1 : 1+size] {
			if text[i] = c; c < ' ' || c >= 0x7f {
				text[i] = '.'
			}
		}
		list, data = append(list, string(text)), data[1+size:]
	}
	return list
}
