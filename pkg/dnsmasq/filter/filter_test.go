package filter

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/resolver"
)

const (
	rec  = "www.example. 30 A 127.1.0.1"
	good = "NOERROR; rd; www.example. 30 IN A 127.1.0.1"
)

func TestFilters(t *testing.T) {
	prefix := netip.MustParsePrefix
	tests := []struct {
		name     string
		filter   Config
		server   dnstest.Script
		query    *dns.Msg
		want     string
		upstream int // packets for two queries
	}{
		{"domain needed", Config{Filter: options.Filter{DomainNeeded: true}}, dnstest.Silence, dnstest.Question("plain.", dns.TypeA), "NXDOMAIN; rd", 0},
		{"domain needed, other type", Config{Filter: options.Filter{DomainNeeded: true}}, dnstest.Zone(3), dnstest.Question("plain.", dns.TypeTXT), "NXDOMAIN; rd", 2},
		{"domain needed, root", Config{Filter: options.Filter{DomainNeeded: true}}, dnstest.Zone(0), dnstest.Question(".", dns.TypeA), "NOERROR; rd", 2},
		{"private address", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Silence, dnstest.Question("1.0.0.10.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; aa; rd", 0},
		{"private network", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Silence, dnstest.Question("168.192.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; aa; rd", 0},
		{"part of a private IPv6 address", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Silence, dnstest.Question("1.d.f.ip6.arpa.", dns.TypePTR), "NXDOMAIN; aa; rd", 0},
		{"part of a public IPv6 address", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Zone(3), dnstest.Question("1.0.0.2.ip6.arpa.", dns.TypePTR), "NXDOMAIN; rd", 2},
		{"private networks themselves", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Zone(3), dnstest.Question("in-addr.arpa.", dns.TypePTR), "NXDOMAIN; rd", 2},
		{"odd octets", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Silence, dnstest.Question("1.266.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; aa; rd", 0},
		{"more octets than four", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Silence, dnstest.Question("1.2.3.4.10.in-addr.arpa.", dns.TypeANY), "NXDOMAIN; aa; rd", 0},
		{"no octet", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Zone(3), dnstest.Question("1a.0.0.10.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; rd", 2},
		{"public address", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Zone(3), dnstest.Question("1.0.0.11.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; rd", 2},
		{"carrier's address", Config{Filter: options.Filter{BogusPriv: true}}, dnstest.Zone(3), dnstest.Question("1.0.64.100.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; rd", 2},
		{"Windows", Config{Filter: options.Filter{FilterWin2k: true}}, dnstest.Silence, dnstest.Question("www.example.", dns.TypeSRV), "NOERROR; aa; rd", 0},
		{
			"type removed",
			Config{Filter: options.Filter{FilterRR: []uint16{dns.TypeAAAA}}},
			dnstest.Zone(0, "www.example. 30 AAAA ::1"),
			dnstest.Question("www.example.", dns.TypeAAAA, "edns"), "NOERROR; rd; opt ede17", 1,
		},
		{
			"type removed from a chain",
			Config{Filter: options.Filter{FilterRR: []uint16{dns.TypeA}}},
			dnstest.Zone(0, "www.example. 30 CNAME x.example.", "x.example. 30 A 127.1.0.1"),
			dnstest.Question("www.example.", dns.TypeA), "NOERROR; rd; www.example. 30 IN CNAME x.example.", 1,
		},
		{"--filter-AAAA", Config{Filter: options.Filter{FilterAAAA: true}}, dnstest.Zone(0, "www.example. 30 AAAA ::1"), dnstest.Question("www.example.", dns.TypeAAAA), "NOERROR; rd", 1},
		{"--filter-A", Config{Filter: options.Filter{FilterA: true}}, dnstest.Zone(0, rec), dnstest.Question("www.example.", dns.TypeA), "NOERROR; rd", 1},
		{
			"other types stay", Config{Filter: options.Filter{FilterRR: []uint16{dns.TypeAAAA}}}, dnstest.Zone(0, rec), dnstest.Question("www.example.", dns.TypeA), good, 1,
		},
		{
			"ANY is made small", Config{Filter: options.Filter{FilterRR: []uint16{dns.TypeANY}}}, dnstest.Zone(0, rec, `www.example. 30 TXT "x"`), dnstest.Question("www.example.", dns.TypeANY), good, 1,
		},
		{
			"rebind", Config{Filter: options.Filter{StopRebind: true}}, dnstest.Zone(0, "www.example. 30 A 10.0.0.1"), dnstest.Question("www.example.", dns.TypeA, "edns"), "NOERROR; rd; opt ede15", 2,
		},
		{
			"rebind by IPv6", Config{Filter: options.Filter{StopRebind: true}}, dnstest.Zone(0, "www.example. 30 AAAA ::ffff:10.0.0.1"), dnstest.Question("www.example.", dns.TypeAAAA), "NOERROR; rd", 2,
		},
		{
			"rebind by a hint",
			Config{Filter: options.Filter{StopRebind: true}},
			dnstest.Zone(0, "www.example. 30 HTTPS 1 . alpn=h2 ipv4hint=1.2.3.4,192.168.0.1"),
			dnstest.Question("www.example.", dns.TypeHTTPS, "edns"), "NOERROR; rd; opt ede15", 2,
		},
		{
			"rebind by an IPv6 hint",
			Config{Filter: options.Filter{StopRebind: true}},
			dnstest.Zone(0, "www.example. 30 SVCB 1 x.example. port=53 ipv6hint=2001:4860::1,fd00::1"),
			dnstest.Question("www.example.", dns.TypeSVCB), "NOERROR; rd", 2,
		},
		{
			"public hints",
			Config{Filter: options.Filter{StopRebind: true}},
			dnstest.Zone(0, `www.example. 30 HTTPS 1 . ipv4hint="1.2.3.4" ipv6hint="2001:4860::1"`),
			dnstest.Question("www.example.", dns.TypeHTTPS), `NOERROR; rd; www.example. 30 IN HTTPS 1 . ipv4hint="1.2.3.4" ipv6hint="2001:4860::1"`, 1,
		},
		{
			"rebind allowed for loopback", Config{Filter: options.Filter{StopRebind: true, RebindLocalhostOK: true}}, dnstest.Zone(0, rec), dnstest.Question("www.example.", dns.TypeA), good, 1,
		},
		{
			"rebind allowed for a domain",
			Config{Filter: options.Filter{StopRebind: true, RebindDomainOK: []dnsname.Domain{dnstest.Suffix("example.")}}},
			dnstest.Zone(0, rec), dnstest.Question("www.example.", dns.TypeA), good, 1,
		},
		{
			"bogus NXDOMAIN", Config{Filter: options.Filter{BogusNXDomain: []netip.Prefix{prefix("127.1.0.0/16")}}}, dnstest.Zone(0, rec), dnstest.Question("www.example.", dns.TypeA), "NXDOMAIN; rd", 1,
		},
		{
			"moved", Config{Filter: options.Filter{Aliases: []options.Alias{{
				First: netip.MustParseAddr("127.1.0.0"), Last: netip.MustParseAddr("127.1.255.255"),
				To: netip.MustParseAddr("127.9.9.0"), Mask: netip.MustParseAddr("255.255.255.0"),
			}}}}, dnstest.Zone(0, rec), dnstest.Question("www.example.", dns.TypeA), "NOERROR; rd; www.example. 30 IN A 127.9.9.1", 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := dnstest.NewServer(t, test.server)
			cfg := resolver.Ask(s, New(&test.filter))
			cfg.Cache.FailureTTL = 0
			c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
			for i := range 2 {
				if got := dnstest.Summary(c.Ask(test.query)); got != test.want {
					t.Errorf("answer %d: got %q, want %q", i, got, test.want)
				}
			}
			if s.Seen() != test.upstream {
				t.Errorf("upstream saw %d queries, want %d", s.Seen(), test.upstream)
			}
		})
	}
}

// TestIgnoredAnswer: an answer with an address to be ignored does not end the
// wait for the real one, of the same server or of another, in any strategy.
func TestIgnoredAnswer(t *testing.T) {
	ignore := Config{Filter: options.Filter{IgnoreAddress: []netip.Prefix{netip.MustParsePrefix("127.6.6.6/32")}}}
	forged := dnstest.Zone(0, "www.example. 30 A 127.6.6.6")
	both := func(q *dns.Msg, tcp bool) [][]byte {
		return append(forged(q.Copy(), tcp), dnstest.Zone(0, rec)(q, tcp)...)
	}
	slow := func(q *dns.Msg, tcp bool) [][]byte {
		time.Sleep(50 * time.Millisecond)
		return dnstest.Zone(0, rec)(q, tcp)
	}
	for _, test := range []struct {
		name    string
		order   upstream.Strategy
		servers []dnstest.Script
		want    string
	}{
		{"forged and real from one server", upstream.Fastest, []dnstest.Script{both}, "NOERROR; rd; www.example. 30 IN A 127.1.0.1; opt"},
		{"another server", upstream.Fastest, []dnstest.Script{forged, slow}, "NOERROR; rd; www.example. 30 IN A 127.1.0.1; opt"},
		{"the next server", upstream.InOrder, []dnstest.Script{forged, slow}, "NOERROR; rd; www.example. 30 IN A 127.1.0.1; opt"},
		{"all servers", upstream.All, []dnstest.Script{forged, slow}, "NOERROR; rd; www.example. 30 IN A 127.1.0.1; opt"},
		{"nothing better", upstream.Fastest, []dnstest.Script{forged}, "SERVFAIL; rd; opt ede17"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := resolver.Ask(dnstest.NewServer(t, test.servers[0]), New(&ignore))
			for _, script := range test.servers[1:] {
				servers := &cfg.Upstream.Routes[0].Servers
				*servers = append(*servers, upstream.Server{Addr: dnstest.NewServer(t, script).Addr})
			}
			cfg.Upstream.Strategy = test.order
			if len(test.servers) == 1 && test.want[0] == 'S' {
				cfg.Upstream.Timeout = 300 * time.Millisecond
			}
			c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
			if got := dnstest.Summary(c.Ask(dnstest.Question("www.example.", dns.TypeA, "edns"))); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestFilteredTypeIsNotAsked: where the name is known to exist, a type that is
// removed from answers costs no question.
func TestFilteredTypeIsNotAsked(t *testing.T) {
	s := dnstest.NewServer(t, dnstest.Zone(0, rec))
	cfg := resolver.Ask(s, New(&Config{Filter: options.Filter{FilterRR: []uint16{dns.TypeAAAA}}}))
	c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
	c.Ask(dnstest.Question("www.example.", dns.TypeA))
	if got := dnstest.Summary(c.Ask(dnstest.Question("www.example.", dns.TypeAAAA, "edns"))); got != "NOERROR; rd; opt ede17" || s.Seen() != 1 {
		t.Errorf("got %q, upstream saw %d queries", got, s.Seen())
	}
	c.Ask(dnstest.Question("www.example.", dns.TypeMX))
	if s.Seen() != 2 {
		t.Error("another type was not asked for")
	}
}

// TestKnownNames: what is known here exists, whatever the filters, and no server
// is asked about it.
func TestKnownNames(t *testing.T) {
	all := Config{Filter: options.Filter{DomainNeeded: true, BogusPriv: true, FilterRR: []uint16{dns.TypeAAAA}}}
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"nas.", dns.TypeA, "NOERROR; aa; rd; nas. 0 IN A 10.0.0.5"},
		{"nas.", dns.TypeAAAA, "NOERROR; rd"},
		{"lan.", dns.TypeA, "NOERROR; rd"},
		{"lan.", dns.TypeAAAA, "NOERROR; rd"},
		{"nas.lan.", dns.TypeAAAA, "NOERROR; rd"},
		{"router.", dns.TypeA, "NOERROR; aa; rd; router. 0 IN A 10.0.0.1"},
		{"router.", dns.TypeAAAA, "NOERROR; rd"},
		{"text.", dns.TypeA, "NOERROR; rd"},
		{"alias.", dns.TypeAAAA, "NOERROR; aa; rd; alias. 0 IN CNAME nas."},
		{"x.wild.", dns.TypeAAAA, "NOERROR; aa; rd; x.wild. 0 IN CNAME nas."},
		{"nosuch.", dns.TypeA, "NXDOMAIN; rd"},
		{"5.0.0.10.in-addr.arpa.", dns.TypePTR, "NOERROR; aa; rd; 5.0.0.10.in-addr.arpa. 0 IN PTR nas."},
		{"9.0.0.10.in-addr.arpa.", dns.TypePTR, "NOERROR; aa; rd; 9.0.0.10.in-addr.arpa. 0 IN PTR own."},
		{"0.0.10.in-addr.arpa.", dns.TypePTR, "NOERROR; aa; rd"},
		{"1.0.11.10.in-addr.arpa.", dns.TypePTR, "NXDOMAIN; aa; rd"},
		{"ip-10-3-0-1.synth.", dns.TypeAAAA, "NOERROR; rd"},
	} {
		s := dnstest.NewServer(t, dnstest.Zone(3))
		data, err := local.New(&local.Config{
			Hosts: []local.HostEntry{{Names: []dnsname.Name{dnstest.Name("nas."), dnstest.Name("nas.lan.")}, Addrs: dnstest.Addrs("10.0.0.5")}},
			Records: []options.RecordOption{
				{Name: dnstest.Name("text."), Type: dns.TypeTXT, Data: []byte("\x01x")},
				{Name: dnstest.Name("9.0.0.10.in-addr.arpa."), Type: dns.TypePTR, Data: []byte("\x03own\x00")},
			},
			CNAMEs: []options.CNAME{
				{Alias: dnstest.Suffix("alias."), Target: dnstest.Name("nas.")},
				{Alias: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnstest.Name("wild.")}, Target: dnstest.Name("nas.")},
			},
			Synth: []options.SynthDomain{{
				Domain: dnstest.Name("synth."), First: netip.MustParseAddr("10.3.0.0"), Last: netip.MustParseAddr("10.3.0.9"), Prefix: "ip-",
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		all.Known = data.Knows
		cfg := resolver.Ask(s, data.Stage(), New(&all))
		cfg.Upstream.Routes = append(cfg.Upstream.Routes, upstream.Route{Domain: dnstest.Suffix("router."), Addrs: dnstest.Addrs("10.0.0.1")})
		c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
		if got := dnstest.Summary(c.Ask(dnstest.Question(tt.name, tt.qtype))); got != tt.want || s.Seen() != 0 {
			t.Errorf("%s %s: got %q, want %q; the server saw %d", tt.name, dns.TypeToString[tt.qtype], got, tt.want, s.Seen())
		}
	}
}

// FuzzReverseAddr: any name is read or refused, and whole addresses are read as
// the names of addresses are.
func FuzzReverseAddr(f *testing.F) {
	f.Add([]byte("\x011\x03266\x07in-addr\x04arpa\x00"))
	f.Add([]byte("\x01d\x01f\x03ip6\x04arpa\x00"))
	f.Fuzz(func(t *testing.T, name []byte) {
		if !dnsname.Valid(name) {
			return
		}
		addr, ok := reverseAddr(name)
		if want, whole := dnsname.ReverseAddr(name); whole && (!ok || addr != want.Unmap()) {
			t.Errorf("%q is %v, %v; want %v", name, addr, ok, want)
		}
	})
}

// FuzzHints: no record makes hints read beyond it.
func FuzzHints(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x04\x00\x04\x0a\x00\x00\x01"))
	f.Add([]byte("\x00\x01\x01x\x00\x00\x06\xff\xff"))
	f.Fuzz(func(t *testing.T, rdata []byte) {
		if len(rdata) > 1000 {
			return
		}
		rec := wire.Record{Type: wire.TypeHTTPS, Class: wire.ClassIN, Data: 12, End: 12 + len(rdata)}
		hints(append(make([]byte, 12), rdata...), &rec, func(netip.Addr) bool { return false })
	})
}

// TestRebindByHint: a server cannot give its own name a private address of another name by a
// hint that leads to a name with an exception. The exception must be for both names.
func TestRebindByHint(t *testing.T) {
	answers := map[string]string{
		"web.prod.svc.cluster.local. A":     "web.prod.svc.cluster.local. 30 A 10.0.0.2",
		"web.prod.svc.cluster.local. AAAA":  "web.prod.svc.cluster.local. 30 AAAA 2001:db8::2",
		"web.prod.svc.cluster.local. HTTPS": "web.prod.svc.cluster.local. 30 HTTPS 1 . ipv4hint=10.0.0.2",
		"web.prod.svc.cluster.local. TXT":   `web.prod.svc.cluster.local. 30 TXT "x"`,
		"web.prod.public.example. A":        "web.prod.public.example. 30 A 192.88.0.1",
		"web.prod.private.example. A":       "web.prod.private.example. 30 A 10.0.0.3",
	}
	s := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		name, typ := strings.ToLower(q.Question[0].Name), dns.TypeToString[q.Question[0].Qtype]
		suffix := map[string]string{
			"web.prod.evil.example.": "svc.cluster.local.", "web.prod.ns1.svc.cluster.local.": "svc.cluster.local.",
			"web.prod.ns2.svc.cluster.local.": "public.example.", "web.prod.fair.example.": "public.example.",
			"web.prod.ns3.svc.cluster.local.": "private.example.",
		}[name]
		if suffix == "" {
			if answers[name+" "+typ] != "" {
				return dnstest.Zone(0, answers[name+" "+typ])(q, false)
			}
			return dnstest.Zone(0, "ns "+name+" 30 SOA n. h. 1 2 3 4 30")(q, false)
		}
		hint := autopath.AppendHint(nil, len("web.prod."), [][]byte{[]byte(dnsname.MustParse(suffix))})
		m := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
		m.Extra = []dns.RR{&dns.OPT{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232}, Option: []dns.EDNS0{&dns.EDNS0_LOCAL{Code: autopath.HintCode, Data: hint[4:]}},
		}}
		packed, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return [][]byte{packed}
	})
	cfg := resolver.Ask(s, New(&Config{Filter: options.Filter{StopRebind: true, RebindDomainOK: []dnsname.Domain{dnstest.Suffix("cluster.local.")}}}))
	cfg.Complete = true
	c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
	for _, tt := range []struct {
		name string
		typ  uint16
		want string // the data of the last record in the answer; "" if there is none
	}{
		{"web.prod.evil.example.", dns.TypeA, ""},
		{"web.prod.evil.example.", dns.TypeAAAA, ""}, // A and AAAA are judged as a pair
		{"web.prod.evil.example.", dns.TypeHTTPS, ""},
		{"web.prod.evil.example.", dns.TypeTXT, ""},
		{"web.prod.ns1.svc.cluster.local.", dns.TypeA, "10.0.0.2"},
		{"web.prod.ns1.svc.cluster.local.", dns.TypeAAAA, "2001:db8::2"},
		{"web.prod.ns2.svc.cluster.local.", dns.TypeA, "192.88.0.1"},
		{"web.prod.fair.example.", dns.TypeA, "192.88.0.1"},
		{"web.prod.ns3.svc.cluster.local.", dns.TypeA, "web.prod.private.example."}, // the rule of the other name
	} {
		for range 2 { // from the server, and from the cache
			got := ""
			m := c.Ask(dnstest.Question(tt.name, tt.typ))
			if n := len(m.Answer); n > 0 {
				got = strings.TrimPrefix(m.Answer[n-1].String(), m.Answer[n-1].Header().String())
			}
			if got != tt.want {
				t.Errorf("%s %s: %q, want %q", tt.name, dns.TypeToString[tt.typ], got, tt.want)
			}
			if missing := m.Rcode == dns.RcodeNameError; missing != (tt.want == "") {
				t.Errorf("%s %s: rcode %d", tt.name, dns.TypeToString[tt.typ], m.Rcode)
			}
		}
	}
}
