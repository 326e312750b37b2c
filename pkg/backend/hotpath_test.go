package backend

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// TestAllocs states what a question may allocate, federation configured or not.
func TestAllocs(t *testing.T) {
	b := New(Config{Tree: fixture(t), Wildcards: true})
	for _, federated := range []bool{false, true} {
		if federated {
			b.SetFederations(map[string]string{"myfed": "example.com"})
		}
		for _, tt := range []struct {
			name string
			want float64
		}{
			{"web.default", 0},
			{"_http._tcp.web.default", 0},
			{"hl.default", 0},
			{"pet-0.hl.default", 0},
			{"10-0-0-1.hl.default", 0},
			{"_http._tcp.hl.default", 0},
			{"nosuch.default", 0},
			{"example.com.default", 0},
			{"com.default.svc.cluster.local.", 0},
			{"nosuch.cluster.local.", 0},
			{"e1.extns", 0},
			{"svc.cluster.local.", 0},
			{"foo.default.pod.cluster.local.", 0},
			{"1-2-3-4.default.pod.cluster.local.", 1},     // the record
			{"2001-db8--1.default.pod.cluster.local.", 2}, // and the text for the parser
		} {
			name := wire(tt.name)
			ports := 0
			got := testing.AllocsPerRun(100, func() {
				a := b.Records(name)
				for i := range a.Len() {
					r := a.At(i)
					ports += int(r.Port)
				}
			})
			if got > tt.want {
				t.Errorf("%s, federation %v: %v allocations, want at most %v", tt.name, federated, got, tt.want)
			}
		}
	}
	addr := netip.MustParseAddr("10.0.0.3")
	var scratch []treecache.Record
	if got := testing.AllocsPerRun(100, func() { b.ReverseRecord(addr, &scratch) }); got != 0 {
		t.Errorf("ReverseRecord: %v allocations, want 0", got)
	}
}

// TestConcurrentUse asks while Services, federations and the node change; every
// answer is one of those that some state gives. Run it with -race.
func TestConcurrentUse(t *testing.T) {
	tree := fixture(t)
	b := New(Config{Tree: tree, Wildcards: true})
	svc := records.Service{Namespace: "default", Name: "turn", Kind: records.Headless}
	states := [][]*records.Slice{
		slice([]records.Port{tcp("p", 1)}, "10.9.0.1", "10.9.0.2", "10.9.0.3"),
		slice([]records.Port{tcp("p", 2)}, "10.9.1.1=a", "10.9.1.2=b"),
	}
	want := map[string]map[string]bool{"turn.default": {}, "_p._tcp.turn.default": {}, "turn.default.fed": {}}
	for _, s := range states {
		add(t, tree, svc, s)
		b.SetFederations(map[string]string{"fed": "example.com"})
		for name, answers := range want {
			answers[show(b.Records(wire(name)))] = true
		}
		b.SetFederations(nil)
		want["turn.default.fed"][show(b.Records(wire("turn.default.fed")))] = true
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for name, answers := range want {
		wg.Go(func() {
			question := wire(name)
			for {
				select {
				case <-done:
					return
				default:
				}
				if got := show(b.Records(question)); !answers[got] {
					t.Errorf("%s: %s", name, got)
					return
				}
				b.ReverseRecord(netip.MustParseAddr("10.9.0.1"), nil)
			}
		})
	}
	for i := range 300 {
		add(t, tree, svc, states[i%2])
		b.SetNode("z", fmt.Sprintf("r%d", i))
		if i%2 == 0 {
			b.SetFederations(map[string]string{"fed": "example.com"})
		} else {
			b.SetFederations(nil)
		}
	}
	close(done)
	wg.Wait()
}

// FuzzRecords: any bytes get an answer, and only names under the domain get one
// that says something.
func FuzzRecords(f *testing.F) {
	b := New(Config{Tree: fixture(f), Wildcards: true})
	b.SetFederations(map[string]string{"myfed": "example.com"})
	b.SetNode("z", "r")
	for _, name := range []string{
		"web.default", "_http._tcp.hl.default", "*.*", "web.default.myfed", "1-2-3-4.a.pod.cluster.local.",
		"pet-0.hl.default.pod.cluster.local.", "--.a.pod.cluster.local.", "pod.cluster.local.", "cluster.local.", ".",
	} {
		f.Add(wire(name))
	}
	f.Add([]byte("\x00\x03pod\x07cluster\x05local\x00"))
	f.Add([]byte("\x7f\x03svc\x07cluster\x05local\x00"))
	f.Add([]byte{})
	zone := dnsname.MustParse(testZone)
	f.Fuzz(func(t *testing.T, name []byte) {
		a := b.Records(name)
		_, inside := dnsname.CutZone(name, zone)
		if a.Status != treecache.NoSuchName && (!inside || !dnsname.Valid(name)) {
			t.Fatalf("Records(%q) = %v", name, a.Status)
		}
		if (a.Status == treecache.Found) != (a.Len() > 0) || a.Status == treecache.Unavailable {
			t.Fatalf("Records(%q) = %v with %d records", name, a.Status, a.Len())
		}
		for i := range a.Len() {
			r := a.At(i)
			if r.HasTarget() && !dnsname.Valid(r.AppendTarget(nil)) {
				t.Fatalf("Records(%q): target %q", name, r.AppendTarget(nil))
			}
		}
	})
}

func BenchmarkRecords(b *testing.B) {
	be := New(Config{Tree: fixture(b), Wildcards: true})
	for _, text := range []string{"web.default", "_http._tcp.web.default", "com.default", "1-2-3-4.default.pod.cluster.local.", "web.*"} {
		name := wire(text)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				be.Records(name)
			}
		})
	}
}

func BenchmarkRecordsParallel(b *testing.B) {
	be := New(Config{Tree: fixture(b), Wildcards: true})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		name := wire("web.default")
		for pb.Next() {
			be.Records(name)
		}
	})
}
