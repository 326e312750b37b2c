package answercache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// at returns a time in nanoseconds, counted from an arbitrary time.
func at(seconds float64) int64 { return 1e18 + int64(seconds*1e9) }

// ask returns a query. Flags follow the type: "do", "cd", "ad".
func ask(tb testing.TB, name string, typ uint16, flags ...string) *wire.Query {
	tb.Helper()
	buf := make([]byte, 300)
	n, err := dns.PackDomainName(name, buf, 0, nil, false)
	if err != nil {
		tb.Fatalf("name %q: %v", name, err)
	}
	q := &wire.Query{ID: 77, Flags: wire.FlagRD, Name: buf[:n], Type: typ, Class: wire.ClassIN}
	for _, f := range flags {
		switch f {
		case "do":
			q.EDNS = wire.EDNS{Present: true, Size: 1232, DO: true}
		case "cd":
			q.Flags |= wire.FlagCD
		case "ad":
			q.Flags |= wire.FlagAD
		default:
			tb.Fatalf("flag %q", f)
		}
	}
	return q
}

// message returns a reply to q. Each text is a record of the answer section. The prefixes "ns "
// and "ar " put it into another section; "nxdomain", "servfail", "refused", "tc", "aa" and "ad"
// set header fields.
func message(tb testing.TB, q *wire.Query, text ...string) *dns.Msg {
	tb.Helper()
	name, _, err := dns.UnpackDomainName(q.Name, 0)
	if err != nil {
		tb.Fatal(err)
	}
	m := new(dns.Msg)
	m.Response, m.RecursionAvailable, m.Compress = true, true, true
	m.Question = []dns.Question{{Name: name, Qtype: q.Type, Qclass: q.Class}}
	for _, s := range text {
		section := &m.Answer
		switch {
		case s == "nxdomain":
			m.Rcode = dns.RcodeNameError
			continue
		case s == "servfail":
			m.Rcode = dns.RcodeServerFailure
			continue
		case s == "refused":
			m.Rcode = dns.RcodeRefused
			continue
		case s == "tc":
			m.Truncated = true
			continue
		case s == "aa":
			m.Authoritative = true
			continue
		case s == "ad":
			m.AuthenticatedData = true
			continue
		case strings.HasPrefix(s, "ns "):
			section, s = &m.Ns, s[3:]
		case strings.HasPrefix(s, "ar "):
			section, s = &m.Extra, s[3:]
		}
		rr, err := dns.NewRR(s)
		if err != nil {
			tb.Fatalf("record %q: %v", s, err)
		}
		*section = append(*section, rr)
	}
	return m
}

func parsed(tb testing.TB, m *dns.Msg) *wire.Reply {
	tb.Helper()
	packed, err := m.Pack()
	if err != nil {
		tb.Fatalf("packing: %v\n%v", err, m)
	}
	r := new(wire.Reply)
	if !wire.ParseReply(packed, r) {
		tb.Fatalf("ParseReply refuses\n%v", m)
	}
	return r
}

// store stores a reply from message.
func store(tb testing.TB, c *Cache, now int64, q *wire.Query, text ...string) bool {
	tb.Helper()
	return c.Store(q, parsed(tb, message(tb, q, text...)), nil, c.Epoch(), now)
}

// lookup returns the result of a lookup, with the answer unpacked by miekg/dns; nil if there is
// none.
func lookup(tb testing.TB, c *Cache, now int64, q *wire.Query, allowStale bool) (*dns.Msg, LookupResult) {
	tb.Helper()
	out, result := c.Lookup([]byte("kept"), q, now, allowStale)
	if string(out[:4]) != "kept" {
		tb.Fatal("Lookup changed what stood before")
	}
	if len(out) == 4 {
		if result != Miss && result != Expired {
			tb.Fatalf("nothing appended for result %d", result)
		}
		return nil, result
	}
	m := new(dns.Msg)
	if err := m.Unpack(out[4:]); err != nil {
		tb.Fatalf("miekg/dns refuses a stored answer: %v\n%x", err, out[4:])
	}
	if m.Id != q.ID || !m.Response || m.Authoritative || m.Truncated || m.Zero || !m.RecursionAvailable ||
		m.RecursionDesired != (q.Flags&wire.FlagRD != 0) || m.CheckingDisabled != (q.Flags&wire.FlagCD != 0) {
		tb.Fatalf("header of a stored answer: %v", m.MsgHdr)
	}
	name, _, _ := dns.UnpackDomainName(q.Name, 0)
	if len(m.Question) != 1 || m.Question[0].Name != name || m.Question[0].Qtype != q.Type {
		tb.Fatalf("question of a stored answer: %v, want %q in this spelling", m.Question, name)
	}
	if m.IsEdns0() != nil || len(m.Extra) != 0 {
		tb.Fatalf("additional records in a stored answer: %v", m.Extra)
	}
	return m, result
}

// zone returns the records of a message as lines without the class, and its rcode if that is
// not NOERROR.
func zone(m *dns.Msg) []string {
	if m == nil {
		return nil
	}
	out := []string{}
	if m.Rcode != 0 {
		out = append(out, strings.ToLower(dns.RcodeToString[m.Rcode]))
	}
	for i, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			h := rr.Header()
			data := strings.TrimPrefix(rr.String(), h.String())
			if unknown, ok := rr.(*dns.RFC3597); ok {
				data = unknown.Rdata
			}
			out = append(out, fmt.Sprintf("%s%s %d %s %s", []string{"", "ns ", "ar "}[i], h.Name, h.Ttl, dns.Type(h.Rrtype), data))
		}
	}
	return out
}
