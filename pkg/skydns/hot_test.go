package skydns

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// hotCases are the questions that a cluster asks all the time.
func hotCases() []struct{ name, query string } {
	return []struct{ name, query string }{
		{"a", "web.default A"},
		{"aaaa", "dual.default AAAA"},
		{"srv of a ClusterIP", "_http._tcp.dual.default SRV"},
		{"srv of the bare name", "hl.default SRV"},
		{"endpoint", "pet-0.hl.default A"},
		{"no such service", "nosuch.default A"},
		{"namespace", "default A"},
		{"apex", "cluster.local. SOA"},
		{"nodata", "web.default AAAA"},
		{"nxdomain", "web.default.svc.cluster.local.default A"},
		{"headless", "hl.default A"},
		{"srv", "_http._tcp.hl.default SRV"},
		{"externalname", "ein.ext A"},
		{"ptr", "10.0.96.10.in-addr.arpa. PTR"},
		{"ptr of an endpoint", "1.0.0.10.in-addr.arpa. PTR"},
		{"ptr of a hostname", "3.0.0.10.in-addr.arpa. PTR"},
		{"ptr of two names", "1.5.0.10.in-addr.arpa. PTR"},
		{"ptr of two services", "9.9.0.10.in-addr.arpa. PTR"},
	}
}

// sharedFixture has an address that two Services have, as a pod on its node's
// network may be in both.
func sharedFixture(tb testing.TB) *fakeBackend {
	tb.Helper()
	f := newFixture(tb)
	for _, name := range []string{"exporter", "agent"} {
		f.add(tb, headless("monitor", name), slice([]records.Port{tcp("m", 1)}, "10.0.9.9"))
	}
	return f
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates; the other checks of this package still ran")
		return
	}
	c := newClient(t, Config{Backend: sharedFixture(t), NegativeTTL: 5 * time.Second})
	for _, tt := range hotCases() {
		for _, edns := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/edns=%v", tt.name, edns), func(t *testing.T) {
				packet, to := hotPacket(t, c, tt.query, edns)
				got := testing.AllocsPerRun(200, func() {
					if len(c.server.Handle(packet, to, c.buffer[:0])) == 0 {
						t.Error("no reply")
					}
				})
				if got != 0 {
					t.Errorf("%v allocations, want none", got)
				}
			})
		}
	}
}

func hotPacket(tb testing.TB, c *client, query string, edns bool) ([]byte, listener.ReplyTo) {
	tb.Helper()
	m := question(tb, query)
	if edns {
		m.SetEdns0(1232, false)
	}
	packet, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return packet, c.replyTo()
}

func BenchmarkHandle(b *testing.B) {
	c := newClient(b, Config{Backend: sharedFixture(b), NegativeTTL: 5 * time.Second})
	for _, tt := range hotCases() {
		b.Run(tt.name, func(b *testing.B) {
			packet, to := hotPacket(b, c, tt.query, false)
			b.ReportAllocs()
			for b.Loop() {
				c.server.Handle(packet, to, c.buffer[:0])
			}
		})
	}
}

func BenchmarkHandleParallel(b *testing.B) {
	c := newClient(b, Config{})
	packet, to := hotPacket(b, c, "web.default A", false)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		own, buffer := slices.Clone(packet), make([]byte, 0, listener.MaxMessageBytes)
		for pb.Next() {
			c.server.Handle(own, to, buffer)
		}
	})
}

// BenchmarkHandleServices shows that a query costs the same whatever the size
// of the cluster.
func BenchmarkHandleServices(b *testing.B) {
	for _, services := range []int{10, 10_000, 100_000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			f := &fakeBackend{tree: treecache.New(dnsname.MustParse(zone))}
			var packets [][]byte
			for i := range services {
				ip := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
				f.add(b, clusterIP("default", fmt.Sprintf("web-%d", i), []netip.Addr{ip}, tcp("http", 80)))
				if i%max(1, services/1000) == 0 {
					packet, _ := new(dns.Msg).SetQuestion(fmt.Sprintf("web-%d.default.svc.cluster.local.", i), dns.TypeA).Pack()
					packets = append(packets, packet)
				}
			}
			c := newClient(b, Config{Backend: f})
			to := c.replyTo()
			i := 0
			for b.Loop() {
				c.server.Handle(packets[i%len(packets)], to, c.buffer[:0])
				i++
			}
		})
	}
}

// BenchmarkHandleHeadless is the answer of a large headless Service over TCP.
func BenchmarkHandleHeadless(b *testing.B) {
	f := &fakeBackend{tree: treecache.New(dnsname.MustParse(zone))}
	s := &records.Slice{Ports: []records.Port{tcp("http", 80)}}
	for i := range 1000 {
		s.Add(records.Endpoint{Addr: netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), Ready: true})
	}
	f.add(b, headless("default", "big"), s)
	c := newClient(b, Config{Backend: f})
	c.stream = true
	for _, query := range []string{"big.default A", "big.default AAAA", "_http._tcp.big.default SRV"} {
		b.Run(query[len(query)-4:], func(b *testing.B) {
			packet, to := hotPacket(b, c, query, false)
			b.ReportAllocs()
			for b.Loop() {
				c.server.Handle(packet, to, c.buffer[:0])
			}
		})
	}
}
