package wire

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

func BenchmarkParseQuery(b *testing.B) {
	q := askQuery(b, "web.default.svc.cluster.local.", TypeA, false)
	for name, opt := range map[string]*OPT{"plain": nil, "edns": {Size: 1232}, "cookie": {Size: 1232, Cookie: make([]byte, 24)}} {
		b.Run(name, func(b *testing.B) {
			msg := AppendQuery(nil, 1, FlagRD, Subject{Name: q.Name, Type: TypeA, Class: ClassIN}, opt)
			b.ReportAllocs()
			for b.Loop() {
				var q Query
				if ParseQuery(msg, &q) != Accept {
					b.Fatal("refused")
				}
			}
		})
	}
}

// srvAnswer is a headless Service's SRV answer with its addresses.
func srvAnswer(bl *Builder, dst []byte, q *Query, targets [][]byte) []byte {
	addr := netip.AddrFrom4([4]byte{10, 0, 0, 1})
	bl.Start(dst, q, MaxMessage)
	bl.SetAA(true)
	for _, target := range targets {
		bl.SRV(nil, 30, SRV{Priority: 10, Weight: 1, Port: 53, Target: target})
	}
	bl.Open(Additional)
	for _, target := range targets {
		bl.Addr(target, 30, addr)
	}
	return bl.Finish(OPT{})
}

func srvTargets(tb testing.TB, n int) (q *Query, targets [][]byte) {
	tb.Helper()
	for i := range n {
		targets = append(targets, wireName(tb, fmt.Sprintf("%08x.web.default.svc.cluster.local.", i*2654435761)))
	}
	return askQuery(tb, "_dns._udp.web.default.svc.cluster.local.", TypeSRV, true), targets
}

func BenchmarkBuilder(b *testing.B) {
	buf := make([]byte, 0, MaxMessage)
	addr := netip.AddrFrom4([4]byte{10, 0, 0, 1})
	b.Run("address", func(b *testing.B) {
		q := askQuery(b, "web.default.svc.cluster.local.", TypeA, true)
		var bl Builder
		b.ReportAllocs()
		for b.Loop() {
			bl.Start(buf, q, 1232)
			bl.SetAA(true)
			bl.Addr(nil, 30, addr)
			bl.Finish(OPT{})
		}
	})
	b.Run("negative", func(b *testing.B) {
		q := askQuery(b, "www.example.com.default.svc.cluster.local.", TypeA, true)
		zone := wireName(b, "cluster.local.")
		soa := SOA{MName: wireName(b, "ns.dns.cluster.local."), RName: wireName(b, "hostmaster.cluster.local.")}
		var bl Builder
		b.ReportAllocs()
		for b.Loop() {
			bl.Start(buf, q, 1232)
			bl.Open(Authority)
			bl.SOA(zone, 5, &soa)
			bl.Finish(OPT{})
		}
	})
	for _, n := range []int{3, 100} {
		b.Run(fmt.Sprintf("srv=%d", n), func(b *testing.B) {
			q, targets := srvTargets(b, n)
			var bl Builder
			b.ReportAllocs()
			for b.Loop() {
				srvAnswer(&bl, buf, q, targets)
			}
		})
	}
}

func BenchmarkReply(b *testing.B) {
	buf := make([]byte, 0, MaxMessage)
	q := askQuery(b, "www.example.com.", TypeA, true)
	for _, n := range []int{1, 20} {
		msg := pack(b, reply(b, "www.example.com.", dns.TypeA, manyAddresses(n)...))
		b.Run(fmt.Sprintf("parse/records=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var r Reply
				if !ParseReply(msg, &r) {
					b.Fatal("refused")
				}
			}
		})
		b.Run(fmt.Sprintf("miekg/records=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := new(dns.Msg).Unpack(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
		r := parse(b, msg)
		b.Run(fmt.Sprintf("relay/records=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				AppendReply(buf, q, r, &Relay{Limit: 1232})
			}
		})
	}
}

func TestBuilderAllocs(t *testing.T) {
	buf := make([]byte, 0, MaxMessage)
	q, targets := srvTargets(t, 100)
	if n := testing.AllocsPerRun(100, func() {
		var bl Builder
		srvAnswer(&bl, buf, q, targets)
	}); n != 0 {
		t.Errorf("%v allocations for 200 records, want 0", n)
	}
	packet := AppendQuery(nil, 1, FlagRD, Subject{Name: q.Name, Type: TypeSRV, Class: ClassIN}, &OPT{})
	var bl Builder
	if n := testing.AllocsPerRun(100, func() {
		var q Query
		ParseQuery(packet, &q)
		bl.Start(buf, &q, 1232)
		bl.Addr(nil, 30, netip.AddrFrom4([4]byte{10, 0, 0, 1}))
		bl.SOA(nil, 30, &SOA{MName: targets[0], RName: targets[1]})
		bl.Finish(OPT{EDE: Extended(1, "x")})
	}); n != 0 {
		t.Errorf("%v allocations with a Builder that lives on, want 0: the query or the SOA escapes", n)
	}
}

// A hundred SRV targets and their addresses: each name stands in full once.
func TestBuilderManyNames(t *testing.T) {
	var bl Builder
	q, targets := srvTargets(t, 100)
	out := srvAnswer(&bl, nil, q, targets)
	m := unpack(t, out)
	if len(m.Answer) != 100 || len(m.Extra) != 101 {
		t.Fatalf("%d and %d records", len(m.Answer), len(m.Extra))
	}
	m.Compress = true
	packed := pack(t, m)
	if len(out) > len(packed)*11/10 {
		t.Errorf("%d octets, miekg/dns needs %d", len(out), len(packed))
	}
}
