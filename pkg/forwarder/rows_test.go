package forwarder

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// row describes the behaviour for one query: it is sent twice. The row has both answers, and
// the number of packets that the upstream server gets each time.
type row struct {
	name          string
	server        script
	change        func(*Config)
	query         *dns.Msg
	first, second string
	up1, up2      int
}

// TestRows compares the forwarder with docs/reference/dnsmasq.md §12, except for intended
// differences.
func TestRows(t *testing.T) {
	const soa = "ns example. 60 SOA ns.example. h.example. 1 2 3 4 "
	rows := []row{
		{
			name: "address", server: zone(0, "www.example. 10 A 127.1.0.1"), query: question("www.example.", dns.TypeA),
			first: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "text is cached too", server: zone(0, `www.example. 10 TXT "x"`), query: question("www.example.", dns.TypeTXT, "edns"),
			first: `NOERROR; rd; www.example. 10 IN TXT "x"; opt`, second: `NOERROR; rd; www.example. 10 IN TXT "x"; opt`, up1: 1,
		},
		{
			name: "alias to nothing", server: zone(3, "www.example. 20 CNAME gone.example.", soa+"15"), query: question("www.example.", dns.TypeA),
			first:  "NXDOMAIN; rd; www.example. 20 IN CNAME gone.example.; example. 60 IN SOA ns.example. h.example. 1 2 3 4 15",
			second: "NXDOMAIN; rd; www.example. 20 IN CNAME gone.example.; example. 15 IN SOA ns.example. h.example. 1 2 3 4 15", up1: 1,
		},
		{
			name: "no such name", server: zone(3, soa+"15"), query: question("www.example.", dns.TypeA),
			first:  "NXDOMAIN; rd; example. 60 IN SOA ns.example. h.example. 1 2 3 4 15",
			second: "NXDOMAIN; rd; example. 15 IN SOA ns.example. h.example. 1 2 3 4 15", up1: 1,
		},
		{name: "no such name without SOA", server: zone(3), query: question("www.example.", dns.TypeA), first: "NXDOMAIN; rd", second: "NXDOMAIN; rd", up1: 1, up2: 1},
		{
			name: "TTL 0", server: zone(0, "www.example. 0 A 127.1.0.1"), query: question("www.example.", dns.TypeA),
			first: "NOERROR; rd; www.example. 0 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 0 IN A 127.1.0.1", up1: 1, up2: 1,
		},
		{
			name: "authoritative at first only", query: question("www.example.", dns.TypeA),
			server: flags(func(m *dns.Msg) { m.Authoritative, m.RecursionAvailable, m.AuthenticatedData = true, false, true }, "www.example. 10 A 127.1.0.1"),
			first:  "NOERROR; aa; rd; www.example. 10 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "AD is kept if wanted", query: question("www.example.", dns.TypeA, "ad"), change: func(c *Config) { c.Cache.KeepAD = true },
			server: flags(func(m *dns.Msg) { m.AuthenticatedData = true }, "www.example. 10 A 127.1.0.1"),
			first:  "NOERROR; rd; ad; www.example. 10 IN A 127.1.0.1", second: "NOERROR; rd; ad; www.example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "CD is echoed", server: zone(0, "www.example. 10 A 127.1.0.1"), query: question("www.example.", dns.TypeA, "cd"),
			first: "NOERROR; rd; cd; www.example. 10 IN A 127.1.0.1", second: "NOERROR; rd; cd; www.example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "without RD nothing comes from the cache", server: zone(0, "www.example. 10 A 127.1.0.1"), query: question("www.example.", dns.TypeA, "nord"),
			first: "NOERROR; www.example. 10 IN A 127.1.0.1", second: "NOERROR; www.example. 10 IN A 127.1.0.1", up1: 1, up2: 1,
		},
		{
			name: "SERVFAIL of the one server is not asked again", server: zone(2), query: question("www.example.", dns.TypeA, "edns"),
			first: "SERVFAIL; rd; opt", second: "SERVFAIL; rd; opt ede13", up1: 1,
		},
		{name: "REFUSED", server: zone(5), query: question("www.example.", dns.TypeA), first: "REFUSED; rd", second: "REFUSED; rd", up1: 1},
		{name: "NOTIMP after a try without EDNS", server: zone(4), query: question("www.example.", dns.TypeA), first: "NOTIMP; rd", second: "NOTIMP; rd", up1: 2},
		{
			name: "FORMERR to EDNS", query: question("www.example.", dns.TypeA, "edns"),
			server: func(q *dns.Msg, _ bool) [][]byte {
				if q.IsEdns0() != nil {
					return [][]byte{{byte(q.Id >> 8), byte(q.Id), 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}}
				}
				return zone(0, "www.example. 10 A 127.1.0.1")(q, false)
			},
			first: "NOERROR; rd; www.example. 10 IN A 127.1.0.1; opt", second: "NOERROR; rd; www.example. 10 IN A 127.1.0.1; opt", up1: 2,
		},
		{
			name: "wrong id and wrong question are waited past", query: question("www.example.", dns.TypeA),
			server: func(q *dns.Msg, _ bool) [][]byte {
				good := reply(q, 0, "www.example. 10 A 127.1.0.1")
				id, other := good.Copy(), good.Copy()
				id.Id++
				other.Question[0].Name = "other.example."
				typ := good.Copy()
				typ.Question[0].Qtype = dns.TypeAAAA
				query := good.Copy()
				query.Response = false
				return [][]byte{pack(id), pack(other), pack(typ), pack(query), {1, 2, 3}, pack(good)}
			},
			first: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "the first good reply wins", query: question("www.example.", dns.TypeA),
			server: func(q *dns.Msg, _ bool) [][]byte {
				return [][]byte{pack(reply(q, 0, "www.example. 10 A 127.1.0.1")), pack(reply(q, 0, "www.example. 10 A 127.6.6.6"))}
			},
			first: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "upstream changes the case", query: question("wWw.Example.", dns.TypeA),
			server: func(q *dns.Msg, _ bool) [][]byte {
				q.Question[0].Name = "WWW.EXAMPLE."
				return zone(0, "WWW.EXAMPLE. 10 A 127.1.0.1")(q, false)
			},
			first: "NOERROR; rd; wWw.Example. 10 IN A 127.1.0.1", second: "NOERROR; rd; wWw.Example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "cut RDATA", query: question("www.example.", dns.TypeA, "edns"),
			server: func(q *dns.Msg, _ bool) [][]byte {
				q.Extra = nil
				b := pack(reply(q, 0, "www.example. 10 A 127.1.0.1"))
				return [][]byte{b[:len(b)-2]}
			},
			first: "SERVFAIL; rd; opt ede24", second: "SERVFAIL; rd; opt ede13", up1: 1,
		},
		{
			name: "octets behind the message", query: question("www.example.", dns.TypeA),
			server: func(q *dns.Msg, _ bool) [][]byte {
				return [][]byte{append(pack(reply(q, 0, "www.example. 10 A 127.1.0.1")), 1, 2, 3)}
			},
			first: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 10 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "OPT goes only to who has one", server: zone(0, "www.example. 10 A 127.1.0.1"), query: question("www.example.", dns.TypeA, "do"),
			first: "NOERROR; rd; www.example. 10 IN A 127.1.0.1; opt do", second: "NOERROR; rd; www.example. 10 IN A 127.1.0.1; opt do", up1: 1,
		},
		{
			name: "extended error of upstream", query: question("www.example.", dns.TypeA, "edns"),
			server: flags(func(m *dns.Msg) {
				m.Rcode = 2
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 9}, &dns.EDNS0_COOKIE{Code: 10, Cookie: "00112233445566778899aabbccddeeff"}}
			}),
			first: "SERVFAIL; rd; opt ede9", second: "SERVFAIL; rd; opt ede13", up1: 1,
		},
		{name: "transfer", server: silence, query: question("example.", dns.TypeAXFR, "edns"), first: "REFUSED; rd; opt ede21", second: "REFUSED; rd; opt ede21"},
		{
			name: "no server", server: silence, query: question("example.", dns.TypeA, "edns"), change: func(c *Config) { c.Upstream.Routes = nil },
			first: "REFUSED; rd; opt ede14", second: "REFUSED; rd; opt ede14",
		},
		{
			name: "greatest TTL", server: zone(0, "www.example. 60 A 127.1.0.1"), query: question("www.example.", dns.TypeA),
			change: func(c *Config) { c.Cache.MaxTTL = 20 },
			first:  "NOERROR; rd; www.example. 20 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 20 IN A 127.1.0.1", up1: 1,
		},
		{
			name: "no cache", server: zone(0, "www.example. 60 A 127.1.0.1"), query: question("www.example.", dns.TypeA), change: func(c *Config) { c.Cache.Entries = 0 },
			first: "NOERROR; rd; www.example. 60 IN A 127.1.0.1", second: "NOERROR; rd; www.example. 60 IN A 127.1.0.1", up1: 1, up2: 1,
		},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			s := newFakeServer(t, r.server)
			cfg := to(s)
			if r.change != nil {
				r.change(&cfg)
			}
			c := newClient(t, run(t, cfg), 2, false)
			first := summary(c.Ask(r.query))
			up1 := s.Seen()
			r.query.Id++
			second := summary(c.Ask(r.query))
			if diff := cmp.Diff([]any{r.first, r.second, r.up1, r.up2}, []any{first, second, up1, s.Seen() - up1}); diff != "" {
				t.Errorf("first, second, packets for each (-want +got):\n%s", diff)
			}
		})
	}
}

// flags answers as zone does, with the message changed by fn.
func flags(fn func(m *dns.Msg), records ...string) script {
	return func(q *dns.Msg, _ bool) [][]byte {
		m := reply(q, 0, records...)
		fn(m)
		return [][]byte{pack(m)}
	}
}

// TestRejected sends packets without a valid question.
func TestRejected(t *testing.T) {
	s := newFakeServer(t, silence)
	f := run(t, to(s))
	c := newClient(t, f, 2, false)
	q := pack(question("www.example.", dns.TypeA))
	q[0], q[1] = 0, 7
	change := func(fn func(b []byte) []byte) []byte { return fn(slices.Clone(q)) }
	tests := []struct {
		name   string
		packet []byte
		want   string // "" means no answer
	}{
		{"response", change(func(b []byte) []byte { b[2] |= 0x80; return b }), ""},
		{"two questions", change(func(b []byte) []byte { b[5] = 2; return b }), "FORMERR; rd"},
		{"no question", change(func(b []byte) []byte { b[5] = 0; return b[:12] }), "FORMERR; rd"},
		{"status", change(func(b []byte) []byte { b[2] |= 2 << 3; return b }), "NOTIMP; rd"},
		{"cut question", change(func(b []byte) []byte { return b[:len(b)-3] }), "FORMERR; rd"},
		{"reserved bit", change(func(b []byte) []byte { b[3] |= 0x40; b[2] |= 2 << 3; return b }), "NOTIMP; rd"},
		{"EDNS version 1", change(func(b []byte) []byte { b[11] = 1; return append(b, 0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0) }), "BADVERS; rd; opt"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out := f.Handle(test.packet, c.To, make([]byte, 0, 65535))
			got := ""
			if len(out) > 0 {
				m := new(dns.Msg)
				if err := m.Unpack(out); err != nil {
					t.Fatalf("%x: %v", out, err)
				}
				if m.Id != 7 {
					t.Errorf("id %d", m.Id)
				}
				got = strings.ReplaceAll(summary(m), "BADSIG", "BADVERS")
			}
			got = strings.ReplaceAll(got, "; -ra", "")
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if s.Seen() != 0 {
		t.Errorf("upstream saw %d queries", s.Seen())
	}
}
