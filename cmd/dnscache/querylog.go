package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
)

// queryLog writes the lines of --log-queries.
type queryLog struct {
	log *lineLog
	// extra puts serial number and client before each line.
	extra bool
}

var _ forwarder.QueryLog = (*queryLog)(nil)

// Log implements [forwarder.QueryLog].
func (q *queryLog) Log(e *forwarder.Event) {
	prefix := ""
	if q.extra {
		prefix = fmt.Sprintf("%d %s/%d ", e.Serial, e.Client.Addr().Unmap(), e.Client.Port())
	}
	for _, text := range eventLines(e) {
		q.log.line(prefix+text, true)
	}
}

// eventLines words an event as dnsmasq does.
func eventLines(e *forwarder.Event) []string {
	switch e.Kind {
	case forwarder.EventQuery:
		return []string{fmt.Sprintf("query[%s] %s from %s", typeText(e.Type), nameText(e.Name), e.Client.Addr().Unmap())}
	case forwarder.EventForwarded:
		return []string{"forwarded " + nameText(e.Name) + " to " + shortServer(e.Server)}
	case forwarder.EventDuplicate:
		return []string{"reply query is duplicate"}
	case forwarder.EventTruncated:
		return []string{"reply is truncated"}
	case forwarder.EventReply:
		return answerLines("reply", e)
	case forwarder.EventCached:
		return answerLines("cached", e)
	case forwarder.EventStale:
		return answerLines("cached-stale", e)
	case forwarder.EventConfig:
		if e.Source != "" {
			return answerLines(e.Source, e)
		}
		return answerLines(configSource, e)
	case forwarder.EventError:
		return []string{configSource + " error is " + rcodeText(e.Rcode) + reasonText(e)}
	}
	return nil
}

// answerLines words the records of an answer, one line each.
func answerLines(source string, e *forwarder.Event) []string {
	if e.Rcode != dns.RcodeSuccess && e.Rcode != dns.RcodeNameError {
		return []string{source + " error is " + rcodeText(e.Rcode) + reasonText(e)}
	}
	var lines []string
	add := func(name, value string) { lines = append(lines, source+" "+name+" is "+value) }
	var m dns.Msg
	last := nameText(e.Name)
	if len(e.Msg) > 0 && m.Unpack(e.Msg) == nil {
		for _, rr := range m.Answer {
			owner := textName(rr.Header().Name)
			switch rr := rr.(type) {
			case *dns.A:
				add(owner, rr.A.String())
			case *dns.AAAA:
				add(owner, rr.AAAA.String())
			case *dns.CNAME:
				add(owner, "<CNAME>")
				last = textName(rr.Target)
			case *dns.PTR:
				if addr, ok := reverse(rr.Hdr.Name); ok {
					owner = addr.String()
				}
				add(owner, textName(rr.Ptr))
			case *dns.TXT:
				if e.Kind == forwarder.EventConfig {
					add(owner, "<TXT>")
					continue
				}
				for _, s := range rr.Txt {
					add(owner, printableText(s))
				}
			default:
				add(owner, "<"+typeText(rr.Header().Rrtype)+">")
			}
		}
	}
	answered := len(m.Answer) > 0 && last == nameText(e.Name) || len(m.Answer) > 0 && m.Answer[len(m.Answer)-1].Header().Rrtype != dns.TypeCNAME
	switch {
	case e.Rcode == dns.RcodeNameError:
		add(last, "NXDOMAIN")
	case !answered && e.Type == dns.TypeA:
		add(last, "NODATA-IPv4")
	case !answered && e.Type == dns.TypeAAAA:
		add(last, "NODATA-IPv6")
	case !answered && e.Type != dns.TypeCNAME:
		add(last, "NODATA")
	}
	return lines
}

// reverse returns the address that a reverse name stands for.
func reverse(name string) (netip.Addr, bool) {
	wire, err := dnsname.Parse(name)
	if err != nil {
		return netip.Addr{}, false
	}
	return dnsname.ReverseAddr([]byte(wire))
}

// typeText is dnsmasq's text for a type.
func typeText(t uint16) string {
	if text, ok := dns.TypeToString[t]; ok {
		return text
	}
	return "type=" + strconv.Itoa(int(t))
}

// rcodeText is dnsmasq's text for a response code.
func rcodeText(rcode int) string {
	switch rcode {
	case dns.RcodeServerFailure:
		return "SERVFAIL"
	case dns.RcodeRefused:
		return "REFUSED"
	case dns.RcodeNotImplemented:
		return "not implemented"
	}
	return strconv.Itoa(rcode)
}

// reasonText is the extended error, RFC 8914.
func reasonText(e *forwarder.Event) string {
	if !e.HasReason {
		return ""
	}
	text := dns.ExtendedErrorCodeToString[e.Reason]
	if text == "" {
		text = strconv.Itoa(int(e.Reason))
	}
	return " (EDE: " + strings.ToLower(text) + ")"
}

// shortServer omits the usual port.
func shortServer(a netip.AddrPort) string {
	if a.Port() == 53 {
		return a.Addr().String()
	}
	return serverText(a)
}

const unprintable = "<name unprintable>"

// nameText is the text of a wire name as sent. Names that a terminal or a
// script could mistake for something else are not printed.
func nameText(wire []byte) string {
	if len(wire) == 0 {
		return "."
	}
	var b strings.Builder
	for i := 0; i < len(wire) && wire[i] != 0; {
		n := int(wire[i])
		if n > 63 || i+1+n > len(wire) {
			return unprintable
		}
		if i > 0 {
			b.WriteByte('.')
		}
		for _, c := range wire[i+1 : i+1+n] {
			if c <= ' ' || c >= 0x7f || c == '.' {
				return unprintable
			}
			b.WriteByte(c)
		}
		i += 1 + n
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}

// textName is the same for a name in presentation form.
func textName(name string) string {
	if name == "." {
		return name
	}
	if strings.ContainsAny(name, "\\") {
		return unprintable
	}
	return strings.TrimSuffix(name, ".")
}

// printableText keeps a record's text from forging lines.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '.'
		}
		return r
	}, s)
}
