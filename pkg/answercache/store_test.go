package answercache

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

const (
	a    = dns.TypeA
	aaaa = dns.TypeAAAA
)

// For each reply, the stored answer as it looks one second later; nil if nothing is stored.
func TestStore(t *testing.T) {
	const (
		soa    = "ns example. 60 IN SOA ns.example. host.example. 1 2 3 4 15"
		stored = "ns example. 14 SOA ns.example. host.example. 1 2 3 4 15"
	)
	tests := []struct {
		name  string
		cfg   Config
		ask   string
		typ   uint16
		flags []string
		reply []string
		want  []string
	}{
		{name: "address", ask: "www.example.", typ: a, reply: []string{"www.example. 10 IN A 1.2.3.4"}, want: []string{"www.example. 9 A 1.2.3.4"}},
		{name: "the client's spelling", ask: "WWW.example.", typ: a, reply: []string{"www.EXAMPLE. 10 IN A 1.2.3.4"}, want: []string{"WWW.example. 9 A 1.2.3.4"}},
		{name: "root", ask: ".", typ: dns.TypeNS, reply: []string{". 10 IN NS a.root."}, want: []string{". 9 NS a.root."}},
		{name: "txt", ask: "x.", typ: dns.TypeTXT, reply: []string{`x. 10 IN TXT "a" "b"`}, want: []string{`x. 9 TXT "a" "b"`}},
		{name: "unknown type", ask: "x.", typ: 65280, reply: []string{`x. 10 IN TYPE65280 \# 2 abcd`}, want: []string{`x. 9 TYPE65280 abcd`}},
		{name: "aa is cleared", ask: "x.", typ: a, reply: []string{"aa", "x. 10 IN A 1.2.3.4"}, want: []string{"x. 9 A 1.2.3.4"}},
		// RFC 2181 §5.2: an RRset has one TTL.
		{
			name: "the smallest TTL of a set", ask: "x.", typ: a, reply: []string{"x. 10 IN A 1.2.3.4", "x. 5 IN A 1.2.3.5"},
			want: []string{"x. 4 A 1.2.3.4", "x. 4 A 1.2.3.5"},
		},
		{name: "ttl 0", ask: "x.", typ: a, reply: []string{"x. 0 IN A 1.2.3.4"}},
		{name: "ttl 0, floor", cfg: Config{MinTTL: 3}, ask: "x.", typ: a, reply: []string{"x. 0 IN A 1.2.3.4"}, want: []string{"x. 2 A 1.2.3.4"}},
		{name: "the floor has a limit", cfg: Config{MinTTL: 7200}, ask: "x.", typ: a, reply: []string{"x. 10 IN A 1.2.3.4"}, want: []string{"x. 3599 A 1.2.3.4"}},
		{name: "ceiling", cfg: Config{MaxCacheTTL: 20}, ask: "x.", typ: a, reply: []string{"x. 60 IN A 1.2.3.4"}, want: []string{"x. 19 A 1.2.3.4"}},
		{name: "ceiling for clients", cfg: Config{MaxTTL: 20}, ask: "x.", typ: a, reply: []string{"x. 60 IN A 1.2.3.4"}, want: []string{"x. 20 A 1.2.3.4"}},
		{name: "ttl 2^31", ask: "x.", typ: a, reply: []string{"x. 2147483648 IN A 1.2.3.4"}},
		{name: "truncated", ask: "x.", typ: a, reply: []string{"tc", "x. 10 IN A 1.2.3.4"}},
		{name: "servfail", ask: "x.", typ: a, reply: []string{"servfail"}},
		{name: "refused, with a record", ask: "x.", typ: a, reply: []string{"refused", "x. 10 IN A 1.2.3.4"}},
		{name: "srv without its additionals", ask: "s.", typ: dns.TypeSRV, reply: []string{"s. 10 IN SRV 1 2 3 h.", "ar h. 10 IN A 1.2.3.4"}, want: []string{"s. 9 SRV 1 2 3 h."}},
		{name: "transfer", ask: "x.", typ: dns.TypeAXFR, reply: []string{"x. 10 IN NS n."}},
		{name: "type 0", ask: "x.", typ: 0, reply: []string{soa}},
		{name: "any", ask: "x.", typ: dns.TypeANY, reply: []string{"x. 10 IN A 1.2.3.4", "x. 20 IN MX 1 m."}, want: []string{"x. 9 A 1.2.3.4", "x. 19 MX 1 m."}},

		{
			name: "chain", ask: "a.", typ: a, reply: []string{"a. 20 IN CNAME b.", "b. 30 IN CNAME c.", "c. 10 IN A 1.2.3.4"},
			want: []string{"a. 19 CNAME b.", "b. 29 CNAME c.", "c. 9 A 1.2.3.4"},
		},
		{
			name: "chain out of order", ask: "a.", typ: a, reply: []string{"c. 10 IN A 1.2.3.4", "b. 30 IN CNAME C.", "a. 20 IN CNAME B."},
			want: []string{"a. 19 CNAME B.", "B. 29 CNAME C.", "C. 9 A 1.2.3.4"},
		},
		{name: "cname asked", ask: "a.", typ: dns.TypeCNAME, reply: []string{"a. 20 IN CNAME b.", "b. 30 IN CNAME c."}, want: []string{"a. 19 CNAME b."}},
		{name: "two cnames", ask: "a.", typ: a, reply: []string{"a. 20 IN CNAME b.", "a. 20 IN CNAME c.", "c. 10 IN A 1.2.3.4"}},
		{name: "loop", ask: "a.", typ: a, reply: []string{"a. 20 IN CNAME b.", "b. 20 IN CNAME a."}},
		{
			name: "dname", ask: "x.old.", typ: a, reply: []string{"old. 20 IN DNAME new.", "x.old. 20 IN CNAME x.new.", "x.new. 10 IN A 1.2.3.4"},
			want: []string{"old. 19 DNAME new.", "x.old. 19 CNAME x.new.", "x.new. 9 A 1.2.3.4"},
		},

		{
			name: "dname that leads elsewhere", ask: "x.old.", typ: a,
			reply: []string{"old. 20 IN DNAME evil.", ". 20 IN DNAME evil.", "x.old. 20 IN DNAME new.", "x.old. 20 IN CNAME x.new.", "x.new. 10 IN A 1.2.3.4"},
			want:  []string{"x.old. 19 CNAME x.new.", "x.new. 9 A 1.2.3.4"},
		},

		{name: "nxdomain", ask: "no.example.", typ: a, reply: []string{"nxdomain", soa}, want: []string{"nxdomain", stored}},
		{name: "nodata", ask: "www.example.", typ: aaaa, reply: []string{soa}, want: []string{stored}},
		{
			name: "soa ttl below its minimum", ask: "www.example.", typ: a, reply: []string{"ns example. 5 IN SOA n. h. 1 2 3 4 600"},
			want: []string{"ns example. 4 SOA n. h. 1 2 3 4 600"},
		},
		{name: "minimum 0", ask: "www.example.", typ: a, reply: []string{"ns example. 5 IN SOA n. h. 1 2 3 4 0"}},
		{name: "minimum 2^31", ask: "www.example.", typ: a, reply: []string{"ns example. 5 IN SOA n. h. 1 2 3 4 2147483648"}},
		{name: "soa of another zone", ask: "www.example.", typ: a, reply: []string{"nxdomain", "ns other. 60 IN SOA n. h. 1 2 3 4 15"}},
		{name: "soa of another class", ask: "www.example.", typ: a, reply: []string{"nxdomain", "ns example. 60 CH SOA n. h. 1 2 3 4 15"}},
		{name: "soa below the name", ask: "example.", typ: a, reply: []string{"ns www.example. 60 IN SOA n. h. 1 2 3 4 15"}},
		{name: "no soa", ask: "www.example.", typ: a, reply: []string{"nxdomain"}},
		{name: "no soa, neg-ttl", cfg: Config{NegativeTTL: 7}, ask: "www.example.", typ: a, reply: []string{"nxdomain"}, want: []string{"nxdomain"}},
		{name: "soa wins over neg-ttl", cfg: Config{NegativeTTL: 100}, ask: "www.example.", typ: a, reply: []string{soa}, want: []string{stored}},
		{name: "no-negcache", cfg: Config{NoNegative: true, NegativeTTL: 100}, ask: "www.example.", typ: a, reply: []string{soa}},
		{name: "no-negcache, chain", cfg: Config{NoNegative: true}, ask: "a.", typ: a, reply: []string{"a. 20 IN CNAME www.example.", soa}},
		{name: "referral", ask: "www.example.", typ: a, reply: []string{"ns example. 60 IN NS ns.example.", "ar ns.example. 60 IN A 1.2.3.4"}},
		{
			name: "chain to nxdomain", ask: "a.", typ: a, reply: []string{"nxdomain", "a. 20 IN CNAME no.example.", soa},
			want: []string{"nxdomain", "a. 19 CNAME no.example.", stored},
		},
		{
			name: "chain to nodata", ask: "a.", typ: aaaa, reply: []string{"a. 5 IN CNAME www.example.", soa},
			want: []string{"a. 4 CNAME www.example.", stored},
		},
		{name: "soa must hold the chain's end", ask: "a.example.", typ: a, reply: []string{"a.example. 20 IN CNAME b.other.", soa}},
		{name: "chain to nothing", ask: "a.", typ: a, reply: []string{"a. 20 IN CNAME b."}},
		{name: "nxdomain with the answer", ask: "a.", typ: a, reply: []string{"nxdomain", "a. 20 IN A 1.2.3.4"}},

		{
			name: "nothing that was not asked for", ask: "www.example.", typ: a,
			reply: []string{
				"victim. 99 IN A 6.6.6.6", "www.example. 10 IN A 1.2.3.4", "www.example. 10 IN AAAA ::6", "victim. 99 IN CNAME evil.",
				"ns victim. 99 IN NS evil.", "ns . 99 IN SOA evil. evil. 1 2 3 4 5", "ar evil. 99 IN A 6.6.6.6",
			},
			want: []string{"www.example. 9 A 1.2.3.4"},
		},
		{
			name: "class", ask: "www.example.", typ: a, reply: []string{"www.example. 10 CH TXT x", "www.example. 10 IN A 1.2.3.4"},
			want: []string{"www.example. 9 A 1.2.3.4"},
		},

		{
			name: "signatures for DO", ask: "x.", typ: a, flags: []string{"do"},
			reply: []string{
				"x. 10 IN A 1.2.3.4", "x. 10 IN RRSIG A 8 1 10 20300101000000 20200101000000 1 x. AQPS",
				"x. 10 IN RRSIG MX 8 1 10 20300101000000 20200101000000 1 x. AQPS", "ns w.x. 10 IN NSEC z.x. A",
			},
			want: []string{"x. 9 A 1.2.3.4", "x. 9 RRSIG A 8 1 10 20300101000000 20200101000000 1 x. AQPS", "ns w.x. 9 NSEC z.x. A"},
		},
		{
			name: "no signatures without DO", ask: "x.", typ: a,
			reply: []string{"x. 10 IN A 1.2.3.4", "x. 10 IN RRSIG A 8 1 10 20300101000000 20200101000000 1 x. AQPS", "ns w.x. 10 IN NSEC z.x. A"},
			want:  []string{"x. 9 A 1.2.3.4"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.cfg
			cfg.Entries = 10
			c := New(cfg)
			q := ask(t, tt.ask, tt.typ, tt.flags...)
			if got := store(t, c, at(0), q, tt.reply...); got != (tt.want != nil) {
				t.Errorf("Store = %v", got)
			}
			m, result := lookup(t, c, at(1), q, false)
			if diff := cmp.Diff(tt.want, zone(m)); diff != "" {
				t.Errorf("result %d (-want +got):\n%s", result, diff)
			}
		})
	}
}

// A reply to another question is not stored under this one.
func TestStoreOtherQuestion(t *testing.T) {
	c := New(Config{Entries: 10})
	q := ask(t, "x.", a)
	for _, other := range []struct {
		name string
		typ  uint16
	}{{"y.", a}, {"x.", aaaa}} {
		r := parsed(t, message(t, ask(t, other.name, other.typ), "x. 10 IN A 1.2.3.4"))
		if c.Store(q, r, nil, c.Epoch(), at(0)) {
			t.Errorf("the reply to %v was stored for x. A", other)
		}
	}
	chaos := ask(t, "x.", a)
	chaos.Class = dns.ClassCHAOS
	if store(t, c, at(0), chaos, "x. 10 CH TXT x") {
		t.Error("class CH was stored")
	}
}

// RFC 7871 §7.3.1: an answer for a subnet is not for all clients. An option that is too
// short to hold a scope is not read beyond its end, and not trusted (lesson of
// CVE-2026-4893).
func TestClientSubnetOptionHasItsOwnLength(t *testing.T) {
	for data, want := range map[string]bool{
		"\x00\x01\x18\x00\x0a\x00\x00": true, "\x00\x01\x00\x00": true,
		"\x00\x01\x18\x18\x0a\x00\x00": false, "": false, "\x00": false, "\x00\x01": false, "\x00\x01\x18": false,
	} {
		c := New(Config{Entries: 10})
		q := ask(t, "x.", a)
		m := message(t, q, "x. 10 IN A 1.2.3.4")
		m.SetEdns0(1232, false)
		// Another option follows, whose octets must not be read as the scope.
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: []byte(data)}, &dns.EDNS0_LOCAL{Code: 65001, Data: make([]byte, 8)}}
		if got := c.Store(q, parsed(t, m), nil, c.Epoch(), at(0)); got != want {
			t.Errorf("option %x: Store = %v", data, got)
		}
	}
}

// DO and CD are part of the key; the case of the name is not.
func TestKey(t *testing.T) {
	c := New(Config{Entries: 10})
	for i, flags := range [][]string{nil, {"do"}, {"cd"}, {"do", "cd"}} {
		q := ask(t, "x.", dns.TypeTXT, flags...)
		if _, result := lookup(t, c, at(0), q, false); result != Miss {
			t.Errorf("%v: found before it was stored", flags)
		}
		store(t, c, at(0), q, `x. 10 IN TXT "`+string(rune('a'+i))+`"`)
	}
	for i, flags := range [][]string{nil, {"do"}, {"cd"}, {"do", "cd"}} {
		m, _ := lookup(t, c, at(0), ask(t, "X.", dns.TypeTXT, flags...), false)
		if diff := cmp.Diff([]string{`X. 10 TXT "` + string(rune('a'+i)) + `"`}, zone(m)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", flags, diff)
		}
	}
	if n := c.Stats().Entries; n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
}

// RFC 6840 §5.8: only clients that understand AD get it, and only if the upstream server is
// trusted.
func TestADIsNotMadeUp(t *testing.T) {
	for _, keep := range []bool{false, true} {
		c := New(Config{Entries: 10, KeepAD: keep})
		for _, flags := range [][]string{nil, {"do"}, {"ad"}} {
			q := ask(t, "x.", a, flags...)
			store(t, c, at(0), q, "ad", "x. 10 IN A 1.2.3.4")
			m, _ := lookup(t, c, at(0), q, false)
			if want := keep && flags != nil; m.AuthenticatedData != want {
				t.Errorf("KeepAD %v, query %v: AD = %v", keep, flags, m.AuthenticatedData)
			}
		}
	}
}

func TestRoundRobin(t *testing.T) {
	reply := []string{"a. 20 IN CNAME b.", "b. 10 IN A 1.1.1.1", "b. 10 IN A 2.2.2.2", "b. 10 IN A 3.3.3.3"}
	first := func(m *dns.Msg) string {
		s := m.Answer[0].(*dns.CNAME).Target
		for _, rr := range m.Answer[1:] {
			s += " " + rr.(*dns.A).A.String()[:1]
		}
		return s
	}
	for _, tt := range []struct {
		on   bool
		want []string
	}{
		{true, []string{"b. 1 2 3", "b. 3 1 2", "b. 2 3 1", "b. 1 2 3"}},
		{false, []string{"b. 1 2 3", "b. 1 2 3"}},
	} {
		c := New(Config{Entries: 10, RoundRobin: tt.on})
		q := ask(t, "a.", a)
		store(t, c, at(0), q, reply...)
		for i, want := range tt.want {
			m, _ := lookup(t, c, at(3), q, false)
			if got := first(m); got != want {
				t.Errorf("RoundRobin %v, hit %d: %q, want %q", tt.on, i, got, want)
			}
			if m.Answer[0].Header().Ttl != 17 || m.Answer[3].Header().Ttl != 7 {
				t.Errorf("TTLs do not stay with their records: %v", m.Answer)
			}
		}
	}
}
