package wire

import (
	"cmp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestParseType(t *testing.T) {
	for text, want := range map[string]uint16{"nsap_ptr": 23, "65": 65, "type0": 0, "TYPE65535": 65535} {
		if got, ok := ParseType(text); got != want || !ok {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "TYPE", "65536", "-1", "+1", "A ", "X", "TYPEA", "RESERVED"} {
		if got, ok := ParseType(text); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// The names are miekg/dns's, where it has one that is not obsolete, and RFC 3597's
// otherwise.
func TestTexts(t *testing.T) {
	lacks := map[uint16]string{11: "WKS", 22: "NSAP", 38: "A6", 40: "SINK", 259: "DOA"} // in miekg/dns
	for n := range uint16(1<<16 - 1) {
		got, want := TypeText(n), cmp.Or(lacks[n], dns.Type(n).String())
		if got != want && !strings.HasPrefix(got, "TYPE") {
			t.Errorf("type %d: %s, want %s", n, got, want)
		}
		if back, ok := ParseType(strings.ToLower(got)); back != n || !ok {
			t.Errorf("%s: type %d, %v; want %d", got, back, ok, n)
		}
		if got, want := ClassText(n), dns.Class(n).String(); got != want && n != 0 && n < 5 && n != 2 {
			t.Errorf("class %d: %s, want %s", n, got, want)
		}
	}
	if got := TypeText(65280) + " " + ClassText(7) + " " + RcodeText(4095) + " " + RcodeText(-1); got != "TYPE65280 CLASS7 RCODE4095 RCODE-1" {
		t.Error(got)
	}
	for rcode := range 24 {
		want := dns.RcodeToString[rcode]
		switch {
		case rcode == RcodeBadVers:
			want = "BADVERS" // miekg/dns has the TSIG name of the same value
		case rcode > 10 && rcode != RcodeBadCookie:
			continue
		}
		if got := RcodeText(rcode); got != want {
			t.Errorf("rcode %d: %s, want %s", rcode, got, want)
		}
	}
}

// The names of extended errors are in the order of their codes, and none is missing.
func TestExtendedErrorText(t *testing.T) {
	for code, want := range map[uint16]string{
		EDEOther: "other", EDEStaleAnswer: "stale answer", EDECachedError: "cached error", EDENotReady: "not ready",
		EDEBlocked: "blocked", EDEFiltered: "filtered", EDEProhibited: "prohibited", EDEStaleNXDomain: "stale NXDOMAIN answer",
		EDENotAuthoritative: "not authoritative", EDENotSupported: "not supported", EDENoReachableAuthority: "no reachable authority",
		EDENetworkError: "network error", EDEInvalidData: "invalid data", 6: "DNSSEC bogus", 30: "invalid query type", 31: "", 65535: "",
	} {
		if got := ExtendedErrorText(code); got != want {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}
