package querylog

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The texts are those of miekg/dns, which another program may have learned to read.
func TestTextsAreThoseOfAnotherLibrary(t *testing.T) {
	for typ, want := range dns.TypeToString {
		if typ == 0 || typ >= 32768 { // reserved, and two that were never assigned for use
			continue
		}
		if got := TypeText(typ); got != want {
			t.Errorf("type %d: %s, want %s", typ, got, want)
		}
	}
	for code, text := range dns.ExtendedErrorCodeToString {
		if got := strings.ToLower(wire.ExtendedErrorText(code)); got != strings.ToLower(text) {
			t.Errorf("extended error %d: %s, want %s", code, got, text)
		}
	}
}

// FuzzRecords holds that no name in a record can forge a line.
func FuzzRecords(f *testing.F) {
	m := new(dns.Msg).SetQuestion("a.b.", dns.TypeTXT)
	m.Response = true
	for _, text := range []string{"a.b. 5 CNAME c.d.", "a.b. 5 A 192.0.2.1", `a.b. 5 PTR x\;y.`} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	packet, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	f.Fuzz(func(t *testing.T, msg []byte) {
		for r := range Records(msg) {
			target, _ := r.Name()
			for _, text := range []string{RecordName(r.Owner), RecordName(target)} {
				if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
					t.Errorf("%q", text)
				}
			}
		}
	})
}
