package options

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func TestParseServer(t *testing.T) {
	addr := netip.MustParseAddr
	domain := func(text string) dnsname.Domain {
		return dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.MustParse(text)}
	}
	for _, tt := range []struct {
		value string
		want  []Server
	}{
		{"", nil},
		{"#", []Server{}},
		{"1.2.3.4", []Server{{Addr: addr("1.2.3.4"), Port: 53}}},
		{"1.2.3.4#5353", []Server{{Addr: addr("1.2.3.4"), Port: 5353}}},
		{"1.2.3.4#", []Server{{Addr: addr("1.2.3.4"), Port: 53}}},
		{"::1#5353", []Server{{Addr: addr("::1"), Port: 5353}}},
		{"[::1]#5353", []Server{{Addr: addr("::1"), Port: 5353}}},
		{"[2001:db8::2]", []Server{{Addr: addr("2001:db8::2"), Port: 53}}},
		{"fe80::1%eth0", []Server{{Addr: addr("fe80::1%eth0"), Port: 53}}},
		{"ns.example.com#5353", []Server{{Host: "ns.example.com", Port: 5353}}},
		{"1.2.3.4@eth0", []Server{{Addr: addr("1.2.3.4"), Port: 53, Interface: "eth0"}}},
		{"1.2.3.4@", []Server{{Addr: addr("1.2.3.4"), Port: 53}}},
		{"1.2.3.4@5.6.7.8", []Server{{Addr: addr("1.2.3.4"), Port: 53, Source: addr("5.6.7.8")}}},
		{"1.2.3.4#1@5.6.7.8#99", []Server{{Addr: addr("1.2.3.4"), Port: 1, Source: addr("5.6.7.8"), SourcePort: 99}}},
		{"::1@::2#99", []Server{{Addr: addr("::1"), Port: 53, Source: addr("::2"), SourcePort: 99}}},
		{"1.2.3.4@lo@5.6.7.8#99", []Server{{Addr: addr("1.2.3.4"), Port: 53, Interface: "lo", Source: addr("5.6.7.8"), SourcePort: 99}}},
		{"/a.b/1.2.3.4", []Server{{Domain: domain("a.b"), Addr: addr("1.2.3.4"), Port: 53}}},
		{"/.a.b/1.2.3.4", []Server{{Domain: domain("a.b"), Addr: addr("1.2.3.4"), Port: 53}}},
		{"/A.b./", []Server{{Domain: domain("a.b"), Kind: ServerLocal}}},
		{"/a/b/#", []Server{{Domain: domain("a"), Kind: ServerStandard}, {Domain: domain("b"), Kind: ServerStandard}}},
		{"//", []Server{{Domain: dnsname.Domain{Match: dnsname.MatchUnqualified}, Kind: ServerLocal}}},
		{"/a//1.2.3.4", []Server{
			{Domain: domain("a"), Addr: addr("1.2.3.4"), Port: 53},
			{Domain: dnsname.Domain{Match: dnsname.MatchUnqualified}, Addr: addr("1.2.3.4"), Port: 53},
		}},
		{"/*.a.b/1.2.3.4", []Server{{Domain: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnsname.MustParse("a.b")}, Addr: addr("1.2.3.4"), Port: 53}}},
		{"/*wild.com/1.2.3.4", []Server{{Domain: dnsname.Domain{Match: dnsname.MatchText, Text: "wild.com"}, Addr: addr("1.2.3.4"), Port: 53}}},
		{"/#/1.2.3.4", []Server{{Addr: addr("1.2.3.4"), Port: 53}}},
		{"/*/1.2.3.4", []Server{{Addr: addr("1.2.3.4"), Port: 53}}},
	} {
		got, err := parseServer(tt.value)
		if diff := cmp.Diff(tt.want, got, compare); err != nil || diff != "" {
			t.Errorf("parseServer(%q): %v (-want +got):\n%s", tt.value, err, diff)
		}
	}
	for _, value := range []string{
		"/", "/a", "1.2.3.4#0", "1.2.3.4%eth0", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::ffff:255.255.255.255", "ff02::1%lo", "/d/255.255.255.255#5353", "[1.2.3.4]", "[::1", "1.2.3.4@eth0@x",
		"1.2.3.4@averylonginterface", "/a..b/1.2.3.4", "/é/1.2.3.4", "1.2.3.4,5.6.7.8", "under_score",
		"/" + strings.Repeat("a", 64) + "/1.2.3.4",
	} {
		if got, err := parseServer(value); err == nil {
			t.Errorf("parseServer(%q) = %v, want an error", value, got)
		}
	}
}

func TestParseRevServer(t *testing.T) {
	for _, tt := range []struct {
		value, first, last string
		count              int
	}{
		{"10.0.0.0/8,1.2.3.4", "/10.in-addr.arpa/1.2.3.4#53", "/10.in-addr.arpa/1.2.3.4#53", 1},
		{"10.2.16.0/20,1.2.3.4", "/16.2.10.in-addr.arpa/1.2.3.4#53", "/31.2.10.in-addr.arpa/1.2.3.4#53", 16},
		{"10.2.19.7/20,1.2.3.4", "/16.2.10.in-addr.arpa/1.2.3.4#53", "/31.2.10.in-addr.arpa/1.2.3.4#53", 16},
		{"128.0.0.0/1,#", "/128.in-addr.arpa/#", "/255.in-addr.arpa/#", 128},
		{"10.0.0.4/31", "/4.0.0.10.in-addr.arpa/", "/5.0.0.10.in-addr.arpa/", 2},
		{"10.0.0.4,1.2.3.4#54", "/4.0.0.10.in-addr.arpa/1.2.3.4#54", "/4.0.0.10.in-addr.arpa/1.2.3.4#54", 1},
		{"fd00::/8,::1", "/d.f.ip6.arpa/::1#53", "/d.f.ip6.arpa/::1#53", 1},
		{"fc00::/7,::1", "/c.f.ip6.arpa/::1#53", "/d.f.ip6.arpa/::1#53", 2},
		{"2001:db8:4000::/34,::1", "/4.8.b.d.0.1.0.0.2.ip6.arpa/::1#53", "/7.8.b.d.0.1.0.0.2.ip6.arpa/::1#53", 4},
	} {
		servers, err := parseRevServer(tt.value)
		if err != nil || len(servers) != tt.count {
			t.Errorf("parseRevServer(%q) gives %d servers, want %d; %v", tt.value, len(servers), tt.count, err)
			continue
		}
		first, last := servers[0].String(), servers[len(servers)-1].String()
		if tt.value == "2001:db8:4000::/34,::1" {
			// The zone's name repeats the address's nibbles backwards.
			tt.first, tt.last = "/4.8.b.d.0.1.0.0.2.ip6.arpa/::1#53", "/7.8.b.d.0.1.0.0.2.ip6.arpa/::1#53"
		}
		if first != tt.first || last != tt.last {
			t.Errorf("parseRevServer(%q) gives %q to %q, want %q to %q", tt.value, first, last, tt.first, tt.last)
		}
	}
}

func TestParseAddress(t *testing.T) {
	domain := dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.MustParse("a")}
	for _, tt := range []struct {
		value string
		want  []Address
	}{
		{"", nil},
		{"#", []Address{{Kind: AddressNull}}},
		{"1.2.3.4", []Address{{Addr: netip.MustParseAddr("1.2.3.4")}}},
		{"/a/::1", []Address{{Domain: domain, Addr: netip.MustParseAddr("::1")}}},
		{"/a/#", []Address{{Domain: domain, Kind: AddressNull}}},
		{"/a/", []Address{{Domain: domain, Kind: AddressLocal}}},
		{"/#/#", []Address{{Kind: AddressNull}}},
	} {
		got, err := parseAddress(tt.value)
		if diff := cmp.Diff(tt.want, got, compare); err != nil || diff != "" {
			t.Errorf("parseAddress(%q): %v (-want +got):\n%s", tt.value, err, diff)
		}
	}
}

// FuzzServer holds that a server that was accepted reads the same when its own
// text is read again.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		"1.2.3.4", "[::1]#53", "/a/b//1.2.3.4#5@lo@5.6.7.8#9", "/#/#", "/*.x/ns.y", "/*text/fe80::1%lo", "//", "/a/", "@", "#", "%", "/a/@",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		servers, err := parseServer(value)
		if err != nil {
			return
		}
		for _, s := range servers {
			if strings.Contains(string(s.Domain.Name)+s.Domain.Text, "/") || strings.Contains(s.Domain.String(), `\`) {
				continue // escapes have no spelling in options
			}
			again, err := parseServer(s.String())
			if err != nil || len(again) != 1 || again[0] != s {
				t.Errorf("%q reads as %+v; its text %q as %+v, %v", value, s, s.String(), again, err)
			}
		}
	})
}

// FuzzRevServer holds that the zones of a network are exactly those that its
// first and last address lie in.
func FuzzRevServer(f *testing.F) {
	for _, seed := range []string{"10.2.16.0/20,1.2.3.4", "fc00::/7", "1.2.3.4", "::/1,#", "0.0.0.0/1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		servers, err := parseRevServer(value)
		if err != nil {
			return
		}
		network, _, _ := strings.Cut(value, ",")
		prefix, err := parseNetwork(network, 1, "")
		if err != nil || len(servers) == 0 {
			t.Fatalf("%q: %v, %d servers", value, err, len(servers))
		}
		for addr, zone := range map[netip.Addr]dnsname.Name{
			prefix.Addr():    servers[0].Domain.Name,
			lastAddr(prefix): servers[len(servers)-1].Domain.Name,
		} {
			if !dnsname.ReverseName(addr).HasSuffix(zone) {
				t.Errorf("%q: %s is not in %s", value, addr, zone)
			}
		}
	})
}
