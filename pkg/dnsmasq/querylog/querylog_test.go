package querylog

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
)

// answerMsg packs an answer with records in zone file form.
func answerMsg(t *testing.T, rcode int, records ...string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("a.b.", dns.TypeA)
	m.Response, m.Rcode = true, rcode
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// rawMsg returns an answer with one record of any data.
func rawMsg(typ uint16, data string) []byte {
	msg := []byte("\x00\x00\x80\x00\x00\x00\x00\x01\x00\x00\x00\x00\x01a\x01b\x00")
	msg = binary.BigEndian.AppendUint16(msg, typ)
	msg = append(msg, "\x00\x01\x00\x00\x00\x00\x00"...)
	return append(append(msg, byte(len(data))), data...)
}

func TestEventLines(t *testing.T) {
	client := netip.MustParseAddrPort("[::ffff:1.2.3.4]:5555")
	server := netip.MustParseAddrPort("127.0.0.1:10053")
	wire := func(text string) []byte { return []byte(dnsname.MustParse(text)) }
	const a, aaaa = dns.TypeA, dns.TypeAAAA
	for _, tt := range []struct {
		name  string
		event forwarder.Event
		want  string
	}{
		{"query", forwarder.Event{Kind: forwarder.EventQuery, Client: client, Name: []byte("\x01A\x01b\x00"), Type: a}, "query[A] A.b from 1.2.3.4"},
		{"unknown type", forwarder.Event{Kind: forwarder.EventQuery, Client: client, Name: []byte{0}, Type: 65280}, "query[type=65280] . from 1.2.3.4"},
		{"forged line", forwarder.Event{Kind: forwarder.EventQuery, Client: client, Name: []byte("\x03a\nb\x00"), Type: a}, "query[A] <name unprintable> from 1.2.3.4"},
		{"dot in a label", forwarder.Event{Kind: forwarder.EventQuery, Client: client, Name: []byte("\x03a.b\x00"), Type: a}, "query[A] <name unprintable> from 1.2.3.4"},
		{"forward", forwarder.Event{Kind: forwarder.EventForwarded, Name: wire("a.b"), Server: server}, "forwarded a.b to 127.0.0.1#10053"},
		{"forward, usual port", forwarder.Event{Kind: forwarder.EventForwarded, Name: wire("a.b"), Server: netip.MustParseAddrPort("[::1]:53")}, "forwarded a.b to ::1"},
		{
			"reply",
			forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: a, Msg: answerMsg(t, 0, "a.b. 5 A 1.2.3.4", "a.b. 5 A 1.2.3.5")},
			"reply a.b is 1.2.3.4|reply a.b is 1.2.3.5",
		},
		{
			"chain",
			forwarder.Event{Kind: forwarder.EventCached, Name: wire("a.b"), Type: aaaa, Msg: answerMsg(t, 0, "a.b. 5 CNAME c.d.", "c.d. 5 AAAA ::1")},
			"cached a.b is <CNAME>|cached c.d is ::1",
		},
		{
			"chain to nowhere",
			forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: a, Rcode: 3, Msg: answerMsg(t, 3, "a.b. 5 CNAME c.d.")},
			"reply a.b is <CNAME>|reply c.d is NXDOMAIN",
		},
		{
			"chain without data",
			forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: a, Msg: answerMsg(t, 0, "a.b. 5 CNAME c.d.")},
			"reply a.b is <CNAME>|reply c.d is NODATA-IPv4",
		},
		{
			"alias itself asked",
			forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeCNAME, Msg: answerMsg(t, 0, "a.b. 5 CNAME c.d.")},
			"reply a.b is <CNAME>",
		},
		{"nothing", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: aaaa, Msg: answerMsg(t, 0)}, "reply a.b is NODATA-IPv6"},
		{"nothing of another type", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeMX, Msg: answerMsg(t, 0)}, "reply a.b is NODATA"},
		{"no such name, no records kept", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("a.b"), Type: a, Rcode: 3}, "config a.b is NXDOMAIN"},
		{"stale", forwarder.Event{Kind: forwarder.EventStale, Name: wire("a.b"), Type: a, Msg: answerMsg(t, 0, "a.b. 0 A 1.2.3.4")}, "cached-stale a.b is 1.2.3.4"},
		{"hosts file", forwarder.Event{Kind: forwarder.EventLocal, Source: "/etc/hosts", Name: wire("a.b"), Type: a, Msg: answerMsg(t, 0, "a.b. 0 A 1.2.3.4")}, "/etc/hosts a.b is 1.2.3.4"},
		{
			"reverse",
			forwarder.Event{Kind: forwarder.EventReply, Name: wire("4.3.2.1.in-addr.arpa"), Type: dns.TypePTR, Msg: answerMsg(t, 0, "4.3.2.1.in-addr.arpa. 5 PTR host.x.")},
			"reply 1.2.3.4 is host.x",
		},
		{"text", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeTXT, Msg: answerMsg(t, 0, `a.b. 0 TXT "one" "two"`)}, "reply a.b is one|reply a.b is two"},
		{"local PTR record", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("1.0.0.10.in-addr.arpa"), Type: dns.TypePTR, Msg: answerMsg(t, 0, "1.0.0.10.in-addr.arpa. 0 PTR a.b.")}, "config 1.0.0.10.in-addr.arpa is <PTR>"},
		{"name of an address", forwarder.Event{Kind: forwarder.EventLocal, Source: "config", Name: wire("1.0.0.10.in-addr.arpa"), Type: dns.TypePTR, Msg: answerMsg(t, 0, "1.0.0.10.in-addr.arpa. 0 PTR a.b.")}, "config 10.0.0.1 is a.b"},
		{"ANY without records", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeANY, Msg: answerMsg(t, 0)}, ""},
		{"local text", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("a.b"), Type: dns.TypeTXT, Msg: answerMsg(t, 0, `a.b. 0 TXT "one" "two"`)}, "config a.b is <TXT>"},
		{"others by type", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeMX, Msg: answerMsg(t, 0, "a.b. 5 MX 1 m.")}, "reply a.b is <MX>"},
		{"upstream's error", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Rcode: 2}, "reply error is SERVFAIL"},
		{"our error", forwarder.Event{Kind: forwarder.EventError, Rcode: 5, Reason: 14, HasReason: true}, "config error is REFUSED (EDE: not ready)"},
		{"private address", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("0.10.in-addr.arpa"), Type: dns.TypePTR, Rcode: 3, Addr: netip.MustParseAddr("10.0.0.0")}, "config 10.0.0.0 is NXDOMAIN"},
		{"own reverse zone", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("1.0.0.10.in-addr.arpa"), Type: dns.TypePTR, Rcode: 3}, "config 1.0.0.10.in-addr.arpa is NXDOMAIN"},
		{"no name for an address", forwarder.Event{Kind: forwarder.EventReply, Name: wire("1.0.0.10.in-addr.arpa"), Type: dns.TypePTR, Rcode: 3}, "reply 10.0.0.1 is NXDOMAIN"},
		{"no PTR record", forwarder.Event{Kind: forwarder.EventCached, Name: wire("1.0.0.10.in-addr.arpa"), Type: dns.TypePTR}, "cached 10.0.0.1 is NODATA-IPv4"},
		{
			"reverse by alias",
			forwarder.Event{
				Kind: forwarder.EventReply, Name: wire("4.3.2.1.in-addr.arpa"), Type: dns.TypePTR,
				Msg: answerMsg(t, 0, "4.3.2.1.in-addr.arpa. 5 CNAME 4.sub.3.2.1.in-addr.arpa.", "4.sub.3.2.1.in-addr.arpa. 5 PTR host.x."),
			},
			"reply 4.3.2.1.in-addr.arpa is <CNAME>|reply 1.2.3.4 is host.x",
		},
		{"filtered, nothing left", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: aaaa, Msg: answerMsg(t, 0), Reason: 17, HasReason: true}, "config a.b is NODATA-IPv6"},
		{"filtered behind an alias", forwarder.Event{Kind: forwarder.EventCached, Name: wire("a.b"), Type: aaaa, Msg: answerMsg(t, 0, "a.b. 5 CNAME c.d."), Reason: 17, HasReason: true}, "cached a.b is <CNAME>|config c.d is NODATA-IPv6"},
		{"filtered before anything", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("a.b"), Type: aaaa, Reason: 17, HasReason: true}, "config a.b is NODATA"},
		{
			"address that means NXDOMAIN",
			forwarder.Event{
				Kind: forwarder.EventReply, Name: wire("a.b"), Type: a, Rcode: 3,
				Msg: answerMsg(t, 0, "a.b. 5 CNAME c.d.", "c.d. 5 A 1.2.3.4"), Reason: 15, HasReason: true,
			},
			"config c.d is NXDOMAIN",
		},
		{
			"rebinding",
			forwarder.Event{
				Kind: forwarder.EventReply, Name: wire("a.b"), Type: a,
				Msg: answerMsg(t, 0, "a.b. 5 CNAME c.d.", "c.d. 5 A 10.0.0.1"), Reason: 15, HasReason: true,
			},
			"reply a.b is <CNAME>",
		},
		{"another type than asked", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: aaaa, Msg: answerMsg(t, 0, "a.b. 5 A 1.2.3.4")}, "reply a.b is <A>|reply a.b is NODATA-IPv6"},
		{"ANY", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeANY, Msg: answerMsg(t, 0, "a.b. 5 A 1.2.3.4", "a.b. 5 TXT x")}, "reply a.b is <A>|reply a.b is <TXT>"},
		{"local ANY without records", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("a.b"), Type: dns.TypeANY}, "config a.b is NODATA"},
		{"alias asked, none there", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeCNAME, Msg: answerMsg(t, 0)}, "reply a.b is NODATA"},
		{"alias's spelling", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: a, Msg: answerMsg(t, 0, "a.b. 5 CNAME C.d.", "c.D. 5 A 1.2.3.4")}, "reply a.b is <CNAME>|reply C.d is 1.2.3.4"},
		{"unreadable --dns-rr", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("a.b"), Type: dns.TypeCNAME, Msg: rawMsg(dns.TypeCNAME, "\xab\xcd")}, "config a.b is <CNAME>"},
		{"short --dns-rr", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("a.b"), Type: a, Msg: rawMsg(a, "\xab")}, "config a.b is <A>"},
		{"--dns-rr of an address", forwarder.Event{Kind: forwarder.EventLocal, Name: wire("a.b"), Type: a, Msg: answerMsg(t, 0, "a.b. 0 A 1.2.3.4")}, "config a.b is <A>"},
		{"text with a line end", forwarder.Event{Kind: forwarder.EventReply, Name: wire("a.b"), Type: dns.TypeTXT, Msg: answerMsg(t, 0, `a.b. 0 TXT "a\010b\200\\\""`)}, `reply a.b is a.b.\"`},
		{"unknown name in class CH", forwarder.Event{Kind: forwarder.EventError, Name: wire("x.bind"), Type: dns.TypeTXT, Class: 3, Rcode: 4}, "config x.bind is not implemented (EDE: unknown)"},
		{"opcode", forwarder.Event{Kind: forwarder.EventError, Rcode: 4}, "config error is not implemented"},
		{"truncated", forwarder.Event{Kind: forwarder.EventTruncated}, "reply is truncated"},
		{"duplicate", forwarder.Event{Kind: forwarder.EventDuplicate}, "reply query is duplicate"},
	} {
		if diff := cmp.Diff(tt.want, strings.Join(Lines(&tt.event), "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestQueryLogExtra(t *testing.T) {
	var text string
	line := func(s string) { text += s + "\n" }
	event := forwarder.Event{
		Kind: forwarder.EventForwarded, Serial: 7, Client: netip.MustParseAddrPort("1.2.3.4:5555"),
		Name: []byte(dnsname.MustParse("a.b")), Server: netip.MustParseAddrPort("127.0.0.1:53"),
	}
	(&Log{Line: line}).Log(&event)
	(&Log{Line: line, Extra: true}).Log(&event)
	if want := "forwarded a.b to 127.0.0.1\n7 1.2.3.4/5555 forwarded a.b to 127.0.0.1\n"; text != want {
		t.Errorf("logged %q, want %q", text, want)
	}
}

// TestNotices: what people look for in dnsmasq's log is in its words.
func TestNotices(t *testing.T) {
	for got, want := range map[string]string{
		OverLimit(forwarder.OverLimit{Max: 150}):                             "Maximum number of concurrent DNS queries reached (max: 150)",
		OverLimit(forwarder.OverLimit{Max: 9, Domain: "a.b", Suppressed: 3}): "Maximum number of concurrent DNS queries to a.b reached (max: 9), and 3 more",
		Rebind([]byte("\x01a\x01b\x00"), 0):                                  "possible DNS-rebind attack detected: a.b",
		Rebind([]byte("\x01a\x01b\x00"), 7):                                  "possible DNS-rebind attack detected: a.b, and 7 more",
		Loop(netip.MustParseAddrPort("127.0.0.1:53")):                        "NOT using nameserver 127.0.0.1#53 - query loop detected",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FuzzLines holds that no message can forge a line of the log, or end the program.
func FuzzLines(f *testing.F) {
	f.Add(uint8(forwarder.EventReply), uint16(16), []byte("\x00\x00\x80\x00\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x10\x00\x01\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x00\x04\x03a\nb"))
	f.Fuzz(func(t *testing.T, kind uint8, typ uint16, msg []byte) {
		e := forwarder.Event{Kind: forwarder.EventKind(kind) % (forwarder.EventDuplicate + 1), Type: typ, Msg: msg, Name: []byte("\x01a\x00"), HasReason: kind > 128, Reason: uint16(kind & 31)}
		for _, line := range Lines(&e) {
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f }) || len(line) > 2000 {
				t.Errorf("line %q", line)
			}
		}
	})
}

// FuzzNameText holds that a name cannot forge a line of the log.
func FuzzNameText(f *testing.F) {
	f.Add([]byte("\x01a\x03b\nc\x00"))
	f.Add([]byte("\x3fshort"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if text := NameText(wire); strings.ContainsAny(text, "\n\r\x1b\x00") || text == "" {
			t.Errorf("NameText(%q) = %q", wire, text)
		}
	})
}
