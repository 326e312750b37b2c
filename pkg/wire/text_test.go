package wire

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// The names are miekg/dns's, where it has one that is not obsolete, and RFC 3597's
// otherwise.
func TestTexts(t *testing.T) {
	for n := range uint16(1 << 15) {
		if got, want := TypeText(n), dns.Type(n).String(); got != want && !strings.HasPrefix(got, "TYPE") {
			t.Errorf("type %d: %s, want %s", n, got, want)
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
