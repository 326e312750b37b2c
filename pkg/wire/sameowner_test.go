package wire

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestSameOwner: records with SameOwner have the owner of the one before them,
// whatever that is and wherever it stands, and those after a record that did
// not fit or was taken back have that of the last one that stayed.
func TestSameOwner(t *testing.T) {
	q := Query{Name: []byte("\x01q\x07example\x00"), Type: TypeA, Class: ClassIN}
	addr := netip.MustParseAddr("192.0.2.1")
	name := func(text string) []byte {
		b := make([]byte, MaxName)
		n, err := dns.PackDomainName(text, b, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		return b[:n]
	}
	var b Builder
	b.Start(nil, &q, MaxMessage)
	var want []string
	add := func(ok bool, owner string) {
		t.Helper()
		if !ok {
			t.Fatalf("record of %s did not fit", owner)
		}
		want = append(want, owner)
	}
	add(b.Addr(nil, 1, addr), "q.example.")
	add(b.Addr(SameOwner, 1, addr), "q.example.")
	add(b.Addr(name("."), 1, addr), ".")
	add(b.Addr(SameOwner, 1, addr), ".")
	add(b.Addr(name("a.other."), 1, addr), "a.other.")
	add(b.SRV(SameOwner, 1, SRV{Priority: 1, Weight: 1, Port: 1, Target: name("target.")}), "a.other.")
	mark := b.Mark()
	if b.Record(SameOwner, TypeTXT, 1, bytes.Repeat([]byte{1}, MaxMessage)) {
		t.Error("a record of 64 KiB did fit")
	}
	add(b.Addr(SameOwner, 1, addr), "a.other.")
	b.Rollback(mark)
	want = want[:len(want)-1]
	add(b.Addr(name("b.other."), 1, addr), "b.other.")
	for range 1200 { // past what a pointer can reach
		add(b.Addr(SameOwner, 1, addr), "b.other.")
	}
	add(b.Addr(name("far.away."), 1, addr), "far.away.")
	add(b.Addr(SameOwner, 1, addr), "far.away.")
	six := netip.MustParseAddr("2001:db8::1")
	add(b.AddrAgain(addr), "far.away.") // the owner of the last record is a pointer out of reach
	add(b.AddrAgain(six), "far.away.")
	add(b.Addr(nil, 7, addr), "q.example.")
	add(b.AddrAgain(addr), "q.example.")
	add(b.AddrAgain(six), "q.example.")
	add(b.AddrAgain(six), "q.example.")
	add(b.AddrAgain(addr), "q.example.")
	again := len(want) - 5 // those with TTL 7
	var m dns.Msg
	if err := m.Unpack(b.Finish(OPT{})); err != nil {
		t.Fatal(err)
	}
	if len(m.Answer) != len(want) {
		t.Fatalf("%d records, want %d", len(m.Answer), len(want))
	}
	for i, rr := range m.Answer {
		if rr.Header().Name != want[i] {
			t.Fatalf("record %d: owner %s, want %s", i, rr.Header().Name, want[i])
		}
		if ttl := rr.Header().Ttl; (ttl == 7) != (i >= again) || ttl == 0 {
			t.Errorf("record %d: TTL %d", i, ttl)
		}
	}
}
