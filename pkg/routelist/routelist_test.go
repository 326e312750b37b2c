package routelist

import (
	"fmt"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// rdata packs texts as a TXT record does.
func rdata(texts []string) []byte {
	var b []byte
	for _, t := range texts {
		b = append(append(b, byte(len(t))), t...)
	}
	return b
}

func TestListsSurviveTheWire(t *testing.T) {
	long := dnsname.Name("\x3f" + string(make([]byte, 63)) + "\x3f" + string(make([]byte, 63)) + "\x00") // longer as text than a string may be
	for _, domains := range []map[dnsname.Name]uint64{
		{},
		{dnsname.Root: 1, dnsname.MustParse("corp.example."): 2, dnsname.MustParse("a.corp.example."): 1<<64 - 1},
		{dnsname.MustParse(`od\032d\.x.`): 7, dnsname.Root: 0},
		{long: 1, dnsname.Root: 2},
	} {
		want := New(domains)
		got, err := Parse(rdata(want.Texts()))
		if err != nil {
			t.Fatal(err)
		}
		if got.Generation != want.Generation || got.Partial != want.Partial || fmt.Sprint(got.domains) != fmt.Sprint(want.domains) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if want.Partial != (domains[long] != 0) {
			t.Errorf("partial is %v", want.Partial)
		}
	}
}

func TestMatch(t *testing.T) {
	l := New(map[dnsname.Name]uint64{dnsname.Root: 4, dnsname.MustParse("b.c."): 2, dnsname.MustParse("a.b.c."): 3})
	for name, want := range map[string]uint64{".": 4, "c.": 4, "b.c.": 2, "x.b.c.": 2, "a.b.c.": 3, "y.a.b.c.": 3, "xb.c.": 4} {
		if got := l.Match([]byte(dnsname.MustParse(name))); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]bool{".": true, "c.": true, "b.c.": true, "a.b.c.": false, "x.": false} {
		if got := l.Below([]byte(dnsname.MustParse(name))); got != want {
			t.Errorf("below %s: %v, want %v", name, got, want)
		}
	}
	if got := New(nil).Match([]byte("\x00")); got != 0 {
		t.Errorf("without servers: %d", got)
	}
}

// TestPartialListsDiffer: what a list that is too long leaves out counts as
// changed at every change.
func TestPartialListsDiffer(t *testing.T) {
	domains := map[dnsname.Name]uint64{dnsname.Root: 2, dnsname.MustParse("cluster.local."): Own}
	for i := range 2 * maxEntries {
		domains[dnsname.MustParse(fmt.Sprintf("d%d.example.", i))] = 5
	}
	a := New(domains)
	domains[dnsname.MustParse("zzz.example.")] = 9
	b := New(domains)
	if !a.Partial || a.Generation == b.Generation {
		t.Fatalf("partial %v, generations %x, %x", a.Partial, a.Generation, b.Generation)
	}
	for _, name := range []string{"x.zzz.example.", "elsewhere.", "d7.example."} {
		if n := []byte(dnsname.MustParse(name)); a.Match(n) == b.Match(n) {
			t.Errorf("%s does not differ", name)
		}
	}
	if n := []byte(dnsname.MustParse("a.svc.cluster.local.")); a.Match(n) != Own || b.Match(n) != Own {
		t.Error("names of the server's own differ")
	}
}

func TestHashIgnoresOrder(t *testing.T) {
	if a, b := Hash([]string{"1", "2"}), Hash([]string{"2", "1", "1"}); a != b {
		t.Errorf("%x, %x", a, b)
	}
	if Hash([]string{"1"}) == Hash([]string{"2"}) || Hash([]string{"12"}) == Hash([]string{"1", "2"}) {
		t.Error("different servers have one hash")
	}
}

// FuzzParse: what can be read is bounded and can be written again.
func FuzzParse(f *testing.F) {
	f.Add(rdata(New(map[dnsname.Name]uint64{dnsname.Root: 1}).Texts()))
	f.Add([]byte{})
	f.Add([]byte("\x05v1 00\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(rdata(l.Texts()))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(l) {
			t.Errorf("%v: %v, %v", l, again, err)
		}
		l.Match([]byte("\x01a\x00"))
	})
}
