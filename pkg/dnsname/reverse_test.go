package dnsname

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestReverseName(t *testing.T) {
	for _, text := range []string{
		"10.0.0.1", "0.0.0.0", "255.255.255.255", "192.0.2.100", "::", "::1",
		"2001:db8::aaaa:0:0:1", "::ffff:10.0.0.1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		addr := netip.MustParseAddr(text)
		got := ReverseName(addr)
		if !strings.HasPrefix(text, "::ffff") { // miekg/dns takes the mapped form for IPv4
			if want, err := dns.ReverseAddr(text); got.String() != want || err != nil {
				t.Errorf("ReverseName(%s) = %s, miekg/dns %s, %v", text, got, want, err)
			}
		}
		if back, ok := ReverseAddr([]byte(got)); back != addr || !ok {
			t.Errorf("ReverseAddr(%s) = %v, %v, want %s", got, back, ok, text)
		}
	}
	if got := ReverseName(netip.MustParseAddr("fe80::1%eth0")); got != ReverseName(netip.MustParseAddr("fe80::1")) {
		t.Errorf("ReverseName with a zone = %s", got)
	}
	if got := ReverseName(netip.Addr{}); got != "" {
		t.Errorf("ReverseName of no address = %s, want the zero Name", got)
	}
}

func TestReverseAddrRefuses(t *testing.T) {
	nibbles := strings.Repeat("0.", 31)
	for _, text := range []string{
		"in-addr.arpa", "10.in-addr.arpa", "0.0.10.in-addr.arpa", "5.1.0.0.10.in-addr.arpa",
		"01.0.0.10.in-addr.arpa", "322.0.0.10.in-addr.arpa", "256.0.0.10.in-addr.arpa",
		"a.0.0.10.in-addr.arpa", "-1.0.0.10.in-addr.arpa", "0001.0.0.10.in-addr.arpa",
		"+1.0.0.10.in-addr.arpa", "1.0.0.10.in-addr.arpa.example", `1\.0.0.0.10.in-addr.arpa`,
		"ip6.arpa", nibbles + "ip6.arpa", nibbles + "0.0.ip6.arpa", nibbles + "z.ip6.arpa",
		nibbles + "00.ip6.arpa", "255.2.0.192.ip6.arpa", nibbles + "0.in-addr.arpa", ".",
	} {
		if got, ok := ReverseAddr([]byte(MustParse(text))); ok {
			t.Errorf("ReverseAddr(%s) = %v, want none", text, got)
		}
	}
	// Canonical names are lower-case: upper-case nibbles are the caller's fault.
	if got, ok := ReverseAddr([]byte(strings.Repeat("\x01F", 32) + string(IP6Arpa))); ok {
		t.Errorf("ReverseAddr with upper-case nibbles = %v, want none", got)
	}
}

func TestDashed(t *testing.T) {
	for _, tt := range []struct {
		label string
		want  string // "" for none
		exact bool   // AppendDashed gives the label
	}{
		{"10-0-0-1", "10.0.0.1", true},
		{"255-255-255-255", "255.255.255.255", true},
		{"0-0-0-0", "0.0.0.0", true},
		{"2001-db8--1", "2001:db8::1", true},
		{"2001-db8-2--0", "2001:db8:2::", true},
		{"2001-db8-2-0-0-0-0-1", "2001:db8:2::1", false},
		{"2001-DB8--1", "2001:db8::1", false},
		{"2001-db8-2--", "2001:db8:2::", false},
		{"0--1", "::1", true},
		{"--1", "::1", false},
		{"0--0", "::", true},
		{"ffff-ffff-ffff-ffff-ffff-ffff-ffff-ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"--ffff-a00-1", "", false}, // IPv4-mapped
		{"1-2-3", "", false},
		{"1-2-3-256", "", false},
		{"1-2-3-1000", "", false},
		{"01-2-3-4", "", false},
		{"1-2-3-04", "", false},
		{"1--2-3-4-5-6-7-8", "", false},
		{"1-2-3-4-5", "", false},
		{"-1-2-3-4", "", false},
		{"1-2-3-4-", "", false},
		{"1--3-4", "1::3:4", true},
		{"1.2.3.4", "", false},
		{"fe80--1%eth0", "", false},
		{"web", "", false},
		{"web-0-a-b", "", false},
		{"", "", false},
	} {
		got, ok := ParseDashed(tt.label)
		if want := tt.want != ""; ok != want || (ok && got != netip.MustParseAddr(tt.want)) {
			t.Errorf("ParseDashed(%q) = %v, %v, want %q", tt.label, got, ok, tt.want)
			continue
		}
		if label := string(AppendDashed(nil, got)); ok && (label == tt.label) != tt.exact {
			t.Errorf("AppendDashed(%v) = %q, from %q", got, label, tt.label)
		}
	}
}

// FuzzParseDashed: a label is an address exactly when it is one with dots or
// with colons for its dashes.
func FuzzParseDashed(f *testing.F) {
	for _, s := range []string{"10-0-0-1", "2001-db8--1", "--", "--1", "1-2-3", "a-b", "01-2-3-4", "1-2-3-999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, label string) {
		var want netip.Addr
		if !strings.ContainsAny(label, ".:%") {
			if a, err := netip.ParseAddr(strings.ReplaceAll(label, "-", ".")); err == nil && a.Is4() {
				want = a
			}
			if a, err := netip.ParseAddr(strings.ReplaceAll(label, "-", ":")); err == nil && !a.Is4In6() {
				want = a
			}
		}
		got, ok := ParseDashed(label)
		if ok != want.IsValid() || (ok && got != want) {
			t.Fatalf("ParseDashed(%q) = %v, %v, want %v", label, got, ok, want)
		}
		if ok {
			again := string(AppendDashed(nil, got))
			if back, ok := ParseDashed(again); !ok || back != got || !IsLabel1123(again) {
				t.Fatalf("AppendDashed(%v) = %q, which reads as %v", got, again, back)
			}
		}
	})
}
