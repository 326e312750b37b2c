package forwarder

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/upstream"
)

func TestLocalData(t *testing.T) {
	s := newFakeServer(t, zone(3))
	cfg := to(s)
	cfg.Local = Local{
		TTL: 7,
		Hosts: []Host{
			{Names: []dnsname.Name{name("host.lan."), name("alias.lan.")}, Addrs: addrs("127.3.0.1", "::3")},
			{Names: []dnsname.Name{name("second.lan.")}, Addrs: addrs("127.3.0.1", "127.3.0.2"), TTL: 9, HasTTL: true},
		},
		Records: []Record{
			{Name: name("text.lan."), Type: dns.TypeTXT, Data: []byte("\x02hi")},
			{Name: name("text.lan."), Type: dns.TypeMX, Data: []byte("\x00\x05\x04host\x03lan\x00")},
			{Name: name("_srv.lan."), Type: dns.TypeSRV, Data: []byte("\x00\x01\x00\x02\x00\x50\x04host\x03lan\x00")},
			{Name: name("_srv.lan."), Type: dns.TypeSRV, Data: []byte("\x00\x01\x00\x02\x00\x51\x04host\x03lan\x00")},
			{Name: name("_srv.lan."), Type: dns.TypeSRV, Data: []byte("\x00\x01\x00\x02\x00\x50\x04host\x07example\x00")},
			{Name: name("below.deep.lan."), Type: dns.TypeTXT, Data: []byte("\x00")},
		},
		CNAMEs: []CNAME{
			{Alias: name("c.lan."), Target: name("d.lan.")},
			{Alias: name("d.lan."), Target: name("host.lan."), TTL: 3, HasTTL: true},
			{Alias: name("wild.lan."), Below: true, Target: name("host.lan.")},
		},
		Synth: []Synth{
			{Domain: name("syn."), First: netip.MustParseAddr("127.4.0.0"), Last: netip.MustParseAddr("127.4.0.9"), Prefix: "ip-"},
			{Domain: name("idx."), First: netip.MustParseAddr("127.5.0.0"), Last: netip.MustParseAddr("127.5.0.9"), Prefix: "n", Indexed: true},
		},
	}
	c := newClient(t, run(t, cfg), 2, false)
	tests := []struct {
		name     string
		qtype    uint16
		want     string
		upstream bool
	}{
		{"Host.lan.", dns.TypeA, "NOERROR; aa; rd; Host.lan. 7 IN A 127.3.0.1", false},
		{"alias.lan.", dns.TypeAAAA, "NOERROR; aa; rd; alias.lan. 7 IN AAAA ::3", false},
		{"second.lan.", dns.TypeA, "NOERROR; aa; rd; second.lan. 9 IN A 127.3.0.1; second.lan. 9 IN A 127.3.0.2", false},
		{"host.lan.", dns.TypeTXT, "NOERROR; aa; rd", true},
		{"deep.lan.", dns.TypeTXT, "NOERROR; aa; rd", true},
		{"other.lan.", dns.TypeA, "NXDOMAIN; rd", true},
		{"1.0.3.127.in-addr.arpa.", dns.TypePTR, "NOERROR; aa; rd; 1.0.3.127.in-addr.arpa. 7 IN PTR host.lan.", false},
		{"text.lan.", dns.TypeTXT, `NOERROR; aa; rd; text.lan. 7 IN TXT "hi"`, false},
		{
			"text.lan.", dns.TypeMX,
			"NOERROR; aa; rd; text.lan. 7 IN MX 5 host.lan.; host.lan. 7 IN A 127.3.0.1; host.lan. 7 IN AAAA ::3", false,
		},
		{
			"_srv.lan.", dns.TypeSRV, "NOERROR; aa; rd; _srv.lan. 7 IN SRV 1 2 80 host.lan.; _srv.lan. 7 IN SRV 1 2 81 host.lan.; " +
				"_srv.lan. 7 IN SRV 1 2 80 host.example.; host.lan. 7 IN A 127.3.0.1; host.lan. 7 IN AAAA ::3", false,
		},
		{"text.lan.", dns.TypeANY, `NOERROR; aa; rd; text.lan. 7 IN TXT "hi"; text.lan. 7 IN MX 5 host.lan.`, false},
		{"c.lan.", dns.TypeA, "NOERROR; aa; rd; c.lan. 7 IN CNAME d.lan.; d.lan. 3 IN CNAME host.lan.; host.lan. 7 IN A 127.3.0.1", false},
		{"c.lan.", dns.TypeCNAME, "NOERROR; aa; rd; c.lan. 7 IN CNAME d.lan.", false},
		{"c.lan.", dns.TypeTXT, "NOERROR; aa; rd; c.lan. 7 IN CNAME d.lan.; d.lan. 3 IN CNAME host.lan.", false},
		{"x.wild.lan.", dns.TypeAAAA, "NOERROR; aa; rd; x.wild.lan. 7 IN CNAME host.lan.; host.lan. 7 IN AAAA ::3", false},
		{"wild.lan.", dns.TypeA, "NOERROR; aa; rd", true},
		{"ip-127-4-0-3.syn.", dns.TypeA, "NOERROR; aa; rd; ip-127-4-0-3.syn. 7 IN A 127.4.0.3", false},
		{"ip-127-4-0-10.syn.", dns.TypeA, "NXDOMAIN; rd", true},
		{"3.0.4.127.in-addr.arpa.", dns.TypePTR, "NOERROR; aa; rd; 3.0.4.127.in-addr.arpa. 7 IN PTR ip-127-4-0-3.syn.", false},
		{"n4.idx.", dns.TypeA, "NOERROR; aa; rd; n4.idx. 7 IN A 127.5.0.4", false},
		{"n99999999999999999999.idx.", dns.TypeA, "NXDOMAIN; rd", true},
		{"4.0.5.127.in-addr.arpa.", dns.TypePTR, "NOERROR; aa; rd; 4.0.5.127.in-addr.arpa. 7 IN PTR n4.idx.", false},
	}
	for _, test := range tests {
		t.Run(test.name+dns.TypeToString[test.qtype], func(t *testing.T) {
			before := s.seen()
			got := summary(c.ask(question(test.name, test.qtype)))
			if got != test.want || (s.seen() > before) != test.upstream {
				t.Errorf("got %q, want %q; upstream asked %v, want %v", got, test.want, s.seen() > before, test.upstream)
			}
		})
	}
}

func TestAliasLoop(t *testing.T) {
	_, err := New(Config{Local: Local{CNAMEs: []CNAME{
		{Alias: name("a."), Target: name("b.")}, {Alias: name("b."), Target: name("a.")},
	}}})
	if err == nil {
		t.Error("aliases in a circle were taken")
	}
}

func TestFilters(t *testing.T) {
	prefix := netip.MustParsePrefix
	tests := []struct {
		name     string
		filter   Filter
		server   script
		query    *dns.Msg
		want     string
		upstream int // packets for two queries
	}{
		{"domain needed", Filter{DomainNeeded: true}, silence, question("plain.", dns.TypeA), "NXDOMAIN; rd", 0},
		{"domain needed, other type", Filter{DomainNeeded: true}, zone(3), question("plain.", dns.TypeTXT), "NXDOMAIN; rd", 2},
		{"domain needed, root", Filter{DomainNeeded: true}, zone(0), question(".", dns.TypeA), "NOERROR; rd", 2},
		{"private address", Filter{BogusPriv: true}, silence, question("1.0.0.10.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; aa; rd", 0},
		{"private network", Filter{BogusPriv: true}, silence, question("168.192.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; aa; rd", 0},
		{"public address", Filter{BogusPriv: true}, zone(3), question("1.0.0.11.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; rd", 2},
		{"carrier's address", Filter{BogusPriv: true}, zone(3), question("1.0.64.100.in-addr.arpa.", dns.TypePTR), "NXDOMAIN; rd", 2},
		{"Windows", Filter{Win2k: true}, silence, question("www.example.", dns.TypeSRV), "NOERROR; aa; rd", 0},
		{
			"type removed",
			Filter{Types: []uint16{dns.TypeAAAA}},
			zone(0, "www.example. 30 AAAA ::1"),
			question("www.example.", dns.TypeAAAA, "edns"), "NOERROR; rd; opt ede17", 1,
		},
		{
			"type removed from a chain",
			Filter{Types: []uint16{dns.TypeA}},
			zone(0, "www.example. 30 CNAME x.example.", "x.example. 30 A 127.1.0.1"),
			question("www.example.", dns.TypeA), "NOERROR; rd; www.example. 30 IN CNAME x.example.", 1,
		},
		{
			"other types stay", Filter{Types: []uint16{dns.TypeAAAA}}, zone(0, rec), question("www.example.", dns.TypeA), good, 1,
		},
		{
			"ANY is made small", Filter{Types: []uint16{dns.TypeANY}}, zone(0, rec, `www.example. 30 TXT "x"`), question("www.example.", dns.TypeANY), good, 1,
		},
		{
			"rebind", Filter{StopRebind: true}, zone(0, "www.example. 30 A 10.0.0.1"), question("www.example.", dns.TypeA, "edns"), "NOERROR; rd; opt ede15", 2,
		},
		{
			"rebind by IPv6", Filter{StopRebind: true}, zone(0, "www.example. 30 AAAA ::ffff:10.0.0.1"), question("www.example.", dns.TypeAAAA), "NOERROR; rd", 2,
		},
		{
			"rebind allowed for loopback", Filter{StopRebind: true, RebindLocalhost: true}, zone(0, rec), question("www.example.", dns.TypeA), good, 1,
		},
		{
			"rebind allowed for a domain",
			Filter{StopRebind: true, RebindDomains: []dnsname.Domain{suffix("example.")}},
			zone(0, rec), question("www.example.", dns.TypeA), good, 1,
		},
		{
			"bogus NXDOMAIN", Filter{BogusNX: []netip.Prefix{prefix("127.1.0.0/16")}}, zone(0, rec), question("www.example.", dns.TypeA), "NXDOMAIN; rd", 1,
		},
		{
			"ignored", Filter{Ignore: []netip.Prefix{prefix("127.1.0.0/16")}}, zone(0, rec), question("www.example.", dns.TypeA, "edns"), "SERVFAIL; rd; opt ede17", 2,
		},
		{
			"moved", Filter{Aliases: []Alias{{
				First: netip.MustParseAddr("127.1.0.0"), Last: netip.MustParseAddr("127.1.255.255"),
				To: netip.MustParseAddr("127.9.9.0"), Mask: netip.MustParseAddr("255.255.255.0"),
			}}}, zone(0, rec), question("www.example.", dns.TypeA), "NOERROR; rd; www.example. 30 IN A 127.9.9.1", 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newFakeServer(t, test.server)
			cfg := to(s)
			cfg.Filter = test.filter
			cfg.Cache.FailureTTL = 0
			c := newClient(t, run(t, cfg), 2, false)
			for i := range 2 {
				if got := summary(c.ask(test.query)); got != test.want {
					t.Errorf("answer %d: got %q, want %q", i, got, test.want)
				}
			}
			if s.seen() != test.upstream {
				t.Errorf("upstream saw %d queries, want %d", s.seen(), test.upstream)
			}
		})
	}
}

// TestFilteredTypeIsNotAsked: where the name is known to exist, a type that is
// removed from answers costs no question.
func TestFilteredTypeIsNotAsked(t *testing.T) {
	s := newFakeServer(t, zone(0, rec))
	cfg := to(s)
	cfg.Filter = Filter{Types: []uint16{dns.TypeAAAA}}
	c := newClient(t, run(t, cfg), 2, false)
	c.ask(question("www.example.", dns.TypeA))
	if got := summary(c.ask(question("www.example.", dns.TypeAAAA, "edns"))); got != "NOERROR; rd; opt ede17" || s.seen() != 1 {
		t.Errorf("got %q, upstream saw %d queries", got, s.seen())
	}
	c.ask(question("www.example.", dns.TypeMX))
	if s.seen() != 2 {
		t.Error("another type was not asked for")
	}
}

func TestChaos(t *testing.T) {
	s := newFakeServer(t, zone(0, rec))
	cfg := to(s)
	cfg.Version = "1.2"
	f := run(t, cfg)
	c := newClient(t, f, 2, false)
	for range 3 {
		c.ask(question("www.example.", dns.TypeA))
	}
	ask := func(text string, qtype uint16) string {
		q := question(text, qtype)
		q.Question[0].Qclass = dns.ClassCHAOS
		m := c.ask(q)
		if len(m.Answer) == 0 {
			return summary(m)
		}
		txt, ok := m.Answer[0].(*dns.TXT)
		if !ok || txt.Hdr.Class != dns.ClassCHAOS || txt.Hdr.Ttl != 0 || !m.Authoritative {
			t.Errorf("%s: %v", text, m)
			return ""
		}
		return strings.Join(txt.Txt, "|")
	}
	tests := []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"version.bind.", dns.TypeTXT, "dnscache-1.2"},
		{"VERSION.BIND.", dns.TypeANY, "dnscache-1.2"},
		{"cachesize.bind.", dns.TypeTXT, "1000"},
		{"insertions.bind.", dns.TypeTXT, "1"},
		{"evictions.bind.", dns.TypeTXT, "0"},
		{"misses.bind.", dns.TypeTXT, "1"},
		{"hits.bind.", dns.TypeTXT, "8"}, // two from the cache, six of these
		{"auth.bind.", dns.TypeTXT, "0"},
		{"servers.bind.", dns.TypeTXT, strings.ReplaceAll(s.addr.String(), ":", "#") + " 1 0"},
		{"version.bind.", dns.TypeA, "NOTIMP; rd"},
		{"hostname.bind.", dns.TypeTXT, "NOTIMP; rd"},
		{"example.", dns.TypeTXT, "NOTIMP; rd"},
	}
	for _, test := range tests {
		if got := ask(test.name, test.qtype); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	cfg.NoIdent = true
	if err := f.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if got := ask("version.bind.", dns.TypeTXT); got != "NOTIMP; rd" {
		t.Errorf("without identity: %q", got)
	}
}

// recorder is a query log.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Log(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	words := []string{"query", "forwarded", "reply", "cached", "stale", "config", "error", "duplicate", "truncated"}
	r.lines = append(r.lines, itoa(int(e.Serial))+" "+words[e.Kind]+" "+nameText(e.Name)+" "+dns.RcodeToString[e.Rcode])
}

func TestQueryLog(t *testing.T) {
	log := new(recorder)
	cfg := to(newFakeServer(t, zone(0, rec)))
	cfg.Log = log
	cfg.Upstream.Routes = append(cfg.Upstream.Routes, upstream.Route{Domain: suffix("lit."), Addrs: addrs("127.9.9.9")})
	c := newClient(t, run(t, cfg), 2, false)
	c.ask(question("www.example.", dns.TypeA))
	c.ask(question("www.example.", dns.TypeA))
	c.ask(question("lit.", dns.TypeA))
	c.ask(question("x.lit.", dns.TypeAXFR))
	want := []string{
		"1 query www.example NOERROR", "1 forwarded www.example NOERROR", "1 reply www.example NOERROR",
		"2 query www.example NOERROR", "2 cached www.example NOERROR",
		"3 query lit NOERROR", "3 config lit NOERROR",
		"4 query x.lit NOERROR", "4 error x.lit REFUSED",
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if diff := cmp.Diff(want, slices.Clone(log.lines)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
