package ratelimit

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// passed counts what is let through of n queries, at every step one.
func passed(l *Limiter, addr string, stream bool, n int, start, step time.Duration) (count int) {
	for i := range n {
		if l.allow(netip.MustParseAddr(addr), stream, int64(start+time.Duration(i)*step)) {
			count++
		}
	}
	return count
}

func TestRates(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name       string
		qps, burst int
		n          int
		step       time.Duration
		low, high  int
	}{
		{"below the rate", 10, 10, 100, 100 * time.Millisecond, 100, 100},
		{"at twice the rate", 10, 10, 200, 50 * time.Millisecond, 108, 112},
		{"all at once", 10, 25, 200, 0, 25, 25},
		{"a flood", 10, 5, 100000, 100 * time.Microsecond, 103, 107},
		{"one a second, no burst", 1, 1, 20, time.Second, 20, 20},
		{"two a second for one", 1, 1, 20, 500 * time.Millisecond, 10, 10},
	} {
		for _, addr := range []string{"10.0.0.1", "2001:db8::1", "::ffff:10.0.0.2"} {
			if got := passed(New(tt.qps, tt.burst), addr, false, tt.n, day, tt.step); got < tt.low || got > tt.high {
				t.Errorf("%s, %s: %d of %d passed, want %d to %d", tt.name, addr, got, tt.n, tt.low, tt.high)
			}
		}
	}
}

func TestWhoIsAClient(t *testing.T) {
	l := New(1, 5)
	at := time.Hour
	if n := passed(l, "10.0.0.1", false, 20, at, 0); n != 5 {
		t.Fatalf("%d passed", n)
	}
	for _, tt := range []struct {
		addr   string
		stream bool
		want   int
	}{
		{"::ffff:10.0.0.1", false, 0}, // the same
		{"10.0.0.1", true, 5},         // over TCP it has its rate once more
		{"10.0.0.2", false, 5},
		{"2001:db8:0:1::1", false, 5},
		{"2001:db8:0:1:ffff::2", false, 0}, // of the same network
		{"2001:db8:0:2::1", false, 5},
		{"127.0.0.1", false, 20},
		{"::1", false, 20},
		{"::ffff:127.0.0.1", true, 20}, // no limit
		{"127.9.9.9", false, 5},
	} {
		if got := passed(l, tt.addr, tt.stream, 20, at, 0); got != tt.want {
			t.Errorf("%s, TCP %v: %d passed, want %d", tt.addr, tt.stream, got, tt.want)
		}
	}
}

// TestManyClients: forged addresses without number do not free a client that is
// over its rate, and new clients get in.
func TestManyClients(t *testing.T) {
	l := New(1, 3)
	now := time.Hour
	passed(l, "10.0.0.1", false, 3, now, 0)
	through := 0
	for i := range uint32(20 * sets * ways) {
		now += time.Microsecond
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 0x20000000+i)
		l.allow(netip.AddrFrom4(b), false, int64(now))
		if i%1000 == 0 {
			through += passed(l, "10.0.0.1", false, 1, now, 0)
		}
	}
	if through > 4 { // a third of a second has passed
		t.Errorf("%d passed of a client over its rate", through)
	}
	if n := passed(l, "10.7.7.7", false, 5, now, 0); n != 3 {
		t.Errorf("%d passed of a new client", n)
	}
}

// TestAnswersOverTheRate: over UDP an answer with TC that is not longer than the
// question, over TCP REFUSED; both are counted, and nothing goes to a server.
func TestAnswersOverTheRate(t *testing.T) {
	var many []string
	for range 40 {
		many = append(many, "www.example. 300 A "+netip.AddrFrom4([4]byte{127, 1, byte(rand.Uint32()), byte(rand.Uint32())}).String())
	}
	s := dnstest.NewServer(t, dnstest.Zone(0, many...))
	l := New(1, 1)
	f, err := forwarder.New(forwarder.Config{
		Upstream: upstream.Config{Routes: []upstream.Route{{Servers: []upstream.Server{{Addr: s.Addr}}}}},
		Cache:    answercache.Config{Entries: 100},
		Stages:   []forwarder.Stage{l.Stage()},
	})
	if err != nil {
		t.Fatal(err)
	}
	dnstest.Run(t, f)
	udp, tcp := dnstest.NewClient(t, f, 2, false), dnstest.NewClient(t, f, 2, true)
	udp.To = listener.NewReplyTo(udp, netip.MustParseAddrPort("10.0.0.1:999"), netip.Addr{}, false)
	tcp.To = listener.NewReplyTo(tcp, netip.MustParseAddrPort("10.0.0.1:999"), netip.Addr{}, true)
	udp.Ask(dnstest.Question("www.example.", dns.TypeA))
	for _, q := range []*dns.Msg{dnstest.Question("www.example.", dns.TypeA), dnstest.Question("other.example.", dns.TypeA, "do")} {
		udp.Start(q)
		out := udp.WaitRaw(q.Id)
		m := new(dns.Msg)
		if err := m.Unpack(out); err != nil || !m.Truncated || len(m.Answer) > 0 || len(out) > len(dnstest.Pack(q)) {
			t.Errorf("%d octets for %d: %v, %v", len(out), len(dnstest.Pack(q)), m, err)
		}
	}
	if m := tcp.Ask(dnstest.Question("www.example.", dns.TypeA)); len(m.Answer) != 40 {
		t.Errorf("over TCP: %v", m)
	}
	if got := dnstest.Summary(tcp.Ask(dnstest.Question("www.example.", dns.TypeA, "edns"))); got != "REFUSED; rd; opt ede18" {
		t.Errorf("over TCP, again: %q", got)
	}
	if got := l.Stats(); got != (Stats{UDP: 2, TCP: 1}) || s.Seen() > 2 {
		t.Errorf("%+v; the server saw %d", got, s.Seen())
	}
}

func BenchmarkAllow(b *testing.B) {
	l, addr := New(1000, 1000), netip.MustParseAddr("10.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		l.allow(addr, false, int64(time.Hour))
	}
}
