package local

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/resolver"
)

func TestLocalData(t *testing.T) {
	s := dnstest.NewServer(t, dnstest.Zone(3))
	data, err := New(&Config{
		TTL: 7,
		Hosts: []HostEntry{
			{Names: []dnsname.Name{dnstest.Name("host.lan."), dnstest.Name("alias.lan.")}, Addrs: dnstest.Addrs("127.3.0.1", "::3")},
			{Names: []dnsname.Name{dnstest.Name("second.lan.")}, Addrs: dnstest.Addrs("127.3.0.1", "127.3.0.2"), TTL: 9, HasTTL: true},
		},
		Records: []options.RecordOption{
			{Name: dnstest.Name("text.lan."), Type: dns.TypeTXT, Data: []byte("\x02hi")},
			{Name: dnstest.Name("text.lan."), Type: dns.TypeMX, Data: []byte("\x00\x05\x04host\x03lan\x00")},
			{Name: dnstest.Name("_srv.lan."), Type: dns.TypeSRV, Data: []byte("\x00\x01\x00\x02\x00\x50\x04host\x03lan\x00")},
			{Name: dnstest.Name("_srv.lan."), Type: dns.TypeSRV, Data: []byte("\x00\x01\x00\x02\x00\x51\x04host\x03lan\x00")},
			{Name: dnstest.Name("_srv.lan."), Type: dns.TypeSRV, Data: []byte("\x00\x01\x00\x02\x00\x50\x04host\x07example\x00")},
			{Name: dnstest.Name("below.deep.lan."), Type: dns.TypeTXT, Data: []byte("\x00")},
		},
		CNAMEs: []options.CNAME{
			{Alias: dnstest.Suffix("c.lan."), Target: dnstest.Name("d.lan.")},
			{Alias: dnstest.Suffix("d.lan."), Target: dnstest.Name("host.lan."), TTL: 3, HasTTL: true},
			{Alias: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnstest.Name("wild.lan.")}, Target: dnstest.Name("host.lan.")},
		},
		Synth: []options.SynthDomain{
			{Domain: dnstest.Name("syn."), First: netip.MustParseAddr("127.4.0.0"), Last: netip.MustParseAddr("127.4.0.9"), Prefix: "ip-"},
			{Domain: dnstest.Name("idx."), First: netip.MustParseAddr("127.5.0.0"), Last: netip.MustParseAddr("127.5.0.9"), Prefix: "n", Indexed: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := resolver.Ask(s, data.Stage())
	c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
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
		{
			"text.lan.", dns.TypeANY,
			`NOERROR; aa; rd; text.lan. 7 IN TXT "hi"; text.lan. 7 IN MX 5 host.lan.; host.lan. 7 IN A 127.3.0.1; host.lan. 7 IN AAAA ::3`, false,
		},
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
			before := s.Seen()
			got := dnstest.Summary(c.Ask(dnstest.Question(test.name, test.qtype)))
			if got != test.want || (s.Seen() > before) != test.upstream {
				t.Errorf("got %q, want %q; upstream asked %v, want %v", got, test.want, s.Seen() > before, test.upstream)
			}
		})
	}
}

func TestAliasLoop(t *testing.T) {
	_, err := New(&Config{CNAMEs: []options.CNAME{
		{Alias: dnstest.Suffix("a."), Target: dnstest.Name("b.")}, {Alias: dnstest.Suffix("b."), Target: dnstest.Name("a.")},
	}})
	if err == nil {
		t.Error("aliases in a circle were taken")
	}
}

// TestRoutes: what routes answer without a server, twice.
func TestRoutes(t *testing.T) {
	for _, r := range []struct {
		name     string
		query    *dns.Msg
		route    upstream.Route
		want     string
		upstream int // packets for two queries
	}{
		{
			name: "address literal", query: dnstest.Question("x.a4.", dns.TypeA),
			route: upstream.Route{Domain: dnstest.Suffix("a4."), Addrs: dnstest.Addrs("127.9.9.9")},
			want:  "NOERROR; aa; rd; x.a4. 77 IN A 127.9.9.9",
		},
		{
			name: "other types of a literal go upstream, which does not know the name", query: dnstest.Question("x.a4.", dns.TypeAAAA),
			route: upstream.Route{Domain: dnstest.Suffix("a4."), Addrs: dnstest.Addrs("127.9.9.9")},
			want:  "NOERROR; aa; rd", upstream: 2,
		},
		{
			name: "literal and local", query: dnstest.Question("pre.", dns.TypeAAAA),
			route: upstream.Route{Domain: dnstest.Suffix("pre."), Addrs: dnstest.Addrs("127.9.9.9"), Local: true},
			want:  "NOERROR; rd",
		},
		{
			name: "zero address", query: dnstest.Question("null.", dns.TypeAAAA),
			route: upstream.Route{Domain: dnstest.Suffix("null."), Zero: true},
			want:  "NOERROR; aa; rd; null. 77 IN AAAA ::",
		},
		{
			name: "local domain", query: dnstest.Question("x.only.", dns.TypeTXT),
			route: upstream.Route{Domain: dnstest.Suffix("only."), Local: true},
			want:  "NXDOMAIN; rd",
		},
	} {
		t.Run(r.name, func(t *testing.T) {
			data, err := New(&Config{TTL: 77})
			if err != nil {
				t.Fatal(err)
			}
			s := dnstest.NewServer(t, dnstest.Zone(3))
			cfg := resolver.Ask(s, data.Stage())
			cfg.Upstream.Routes = append(cfg.Upstream.Routes, r.route)
			c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
			for i := range 2 {
				if got := dnstest.Summary(c.Ask(r.query)); got != r.want {
					t.Errorf("answer %d: got %q, want %q", i, got, r.want)
				}
				r.query.Id++
			}
			if s.Seen() != r.upstream {
				t.Errorf("upstream saw %d packets, want %d", s.Seen(), r.upstream)
			}
		})
	}
}

// TestServersSOAStays: where a server does not know a name that exists here, its
// SOA says for how long there is no data of this type.
func TestServersSOAStays(t *testing.T) {
	data, err := New(&Config{Hosts: []HostEntry{{Names: []dnsname.Name{dnstest.Name("nas.lan.")}, Addrs: dnstest.Addrs("10.0.0.5")}}})
	if err != nil {
		t.Fatal(err)
	}
	s := dnstest.NewServer(t, dnstest.Zone(3, "ns lan. 60 SOA a. b. 1 2 3 4 5"))
	c := dnstest.NewClient(t, resolver.Run(t, resolver.Ask(s, data.Stage())), 2, false)
	want := "NOERROR; aa; rd; lan. 60 IN SOA a. b. 1 2 3 4 5; opt"
	if got := dnstest.Summary(c.Ask(dnstest.Question("nas.lan.", dns.TypeTXT, "edns"))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestManyAddressesOfOneName: building the data takes time that grows with the
// input, not with its square, and equal addresses count once.
func TestManyAddressesOfOneName(t *testing.T) {
	const n = 100_000 // squared, minutes
	name := dnsname.MustParse("same.test")
	var cfg Config
	for i := range 2 * n {
		k := i % n
		cfg.Hosts = append(cfg.Hosts, HostEntry{
			Names: []dnsname.Name{name},
			Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)})},
		})
	}
	begin := time.Now()
	l, err := New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(l.names[name].addrs); got != n {
		t.Errorf("%d addresses, want %d", got, n)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// Chains up to the limit are taken; what is longer, or a loop by way of a wildcard, is named once.
func TestChains(t *testing.T) {
	for _, tt := range []struct {
		links int
		loop  bool
		ok    bool
	}{{1, false, true}, {maxLocalChain, false, true}, {maxLocalChain + 1, false, false}, {5000, false, false}, {3, true, false}} {
		cfg := Config{}
		for i := range tt.links {
			cfg.CNAMEs = append(cfg.CNAMEs, options.CNAME{
				Alias: dnstest.Suffix(fmt.Sprintf("c%d.ex", i)), Target: dnsname.MustParse(fmt.Sprintf("c%d.ex", i+1)),
			})
		}
		if tt.loop {
			last := &cfg.CNAMEs[tt.links-1]
			last.Target = dnsname.MustParse("x.below.ex")
			cfg.CNAMEs = append(cfg.CNAMEs, options.CNAME{Alias: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnsname.MustParse("below.ex")}, Target: dnsname.MustParse("c0.ex")})
		}
		_, err := New(&cfg)
		if (err == nil) != tt.ok || err != nil && (strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), "c0.ex")) {
			t.Errorf("%d links, loop %v: %v", tt.links, tt.loop, err)
		}
	}
}
