package forwarder

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// newEcho starts a server that answers every question with one address and
// allocates nothing.
func newEcho(tb testing.TB) netip.AddrPort {
	tb.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in, out := make([]byte, 2048), make([]byte, 0, 2048)
		var b wire.Builder
		for {
			n, from, err := c.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			var q wire.Query
			if wire.ParseQuery(in[:n], &q) != wire.Accept {
				continue
			}
			b.Start(out, &q, 1232)
			b.Addr(nil, 60, netip.AddrFrom4([4]byte{127, 1, 0, 1}))
			_, _ = c.WriteToUDPAddrPort(b.Finish(wire.OPT{}), from)
		}
	}()
	tb.Cleanup(func() {
		c.Close()
		<-done
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// counter is a sink that counts answers.
type counter struct {
	answers atomic.Int64
	bell    chan struct{}
}

func (c *counter) Send(listener.ReplyTo, []byte) {
	c.answers.Add(1)
	select {
	case c.bell <- struct{}{}:
	default:
	}
}

// forwarding sends count questions about different names, at most window at a time.
func forwarding(tb testing.TB, f *Forwarder, c *counter, serial *uint64, count, window int) {
	tb.Helper()
	to := listener.NewReplyTo(c, netip.MustParseAddrPort("127.0.0.9:4000"), netip.MustParseAddr("127.0.0.1"), false)
	q := []byte("\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x10................\x07example\x00\x00\x01\x00\x01")
	out := make([]byte, 0, wire.MaxMessage)
	h := f.Split().(*Part)
	start := c.answers.Load()
	for sent := 0; sent < count; {
		for range min(window, count-sent) {
			*serial++
			const hex = "0123456789abcdef"
			for i := range 16 {
				q[13+i] = hex[*serial>>(4*i)&15]
			}
			binary.BigEndian.PutUint16(q, uint16(sent))
			if b := h.Handle(q, to, out); len(b) != 0 {
				tb.Fatalf("answered at once: %x", b)
			}
			sent++
		}
		h.Flush()
		for c.answers.Load() < start+int64(sent) {
			<-c.bell
		}
	}
}

func benchConfig(server netip.AddrPort, entries int) Config {
	return Config{
		InFlight: 1000,
		Upstream: upstream.Config{Routes: []upstream.Route{{Servers: []upstream.Server{{Addr: server}}}}},
		Cache:    answercache.Config{Entries: entries},
	}
}

// TestForwardAllocations limits the allocations for a question that is sent to a server: the
// entry in the cache, and a little for maps and buffers that grow.
func TestForwardAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	for _, test := range []struct {
		name    string
		entries int
		mixed   bool
		budget  float64
	}{{"without cache", 0, false, 0.2}, {"mixed case", 0, true, 0.2}, {"with cache", 1000, false, 1.3}} {
		t.Run(test.name, func(t *testing.T) {
			cfg := benchConfig(newEcho(t), test.entries)
			cfg.Upstream.MixCase = test.mixed
			f := run(t, cfg)
			c := &counter{bell: make(chan struct{}, 1)}
			var serial uint64
			forwarding(t, f, c, &serial, 4000, 50)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			const count = 10000
			forwarding(t, f, c, &serial, count, 50)
			runtime.ReadMemStats(&after)
			if n := float64(after.Mallocs-before.Mallocs) / count; n > test.budget {
				t.Errorf("%.2f allocations per question, budget %.1f", n, test.budget)
			} else {
				t.Logf("%.2f allocations per question", n)
			}
		})
	}
}

func BenchmarkHit(b *testing.B) {
	f := run(b, benchConfig(newEcho(b), 1000))
	c := newClient(b, f, 2, false)
	c.Ask(question("www.example.", dns.TypeA))
	packet, out := pack(question("www.example.", dns.TypeA, "edns")), make([]byte, 0, wire.MaxMessage)
	c.Ask(question("www.example.", dns.TypeA))
	b.ReportAllocs()
	for b.Loop() {
		f.Handle(packet, c.To, out)
	}
}

// BenchmarkHits sends queries for many names in batches, as a busy listener does.
func BenchmarkHits(b *testing.B) {
	const batch = 16
	for _, names := range []int{10, 10000} {
		b.Run("names="+itoa(names), func(b *testing.B) {
			f := run(b, benchConfig(newEcho(b), names))
			c := &counter{bell: make(chan struct{}, 1)}
			var serial uint64
			for rest := names; rest > 0; rest -= batch {
				forwarding(b, f, c, &serial, min(rest, batch), batch)
			}
			waitFor(b, func() bool { return f.Stats().InFlight == 0 })
			packets := make([][]byte, names)
			for i := range packets {
				q := new(dns.Msg).SetQuestion(serialName(uint64(i*7919%names+1))+".example.", dns.TypeA)
				packets[i] = pack(q)
			}
			to := listener.NewReplyTo(c, netip.MustParseAddrPort("127.0.0.9:4000"), netip.MustParseAddr("127.0.0.1"), false)
			h, out := f.Split().(*Part), make([]byte, 0, wire.MaxMessage)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if len(h.Handle(packets[i%names], to, out)) == 0 {
					b.Fatal("not answered from the cache")
				}
				if i++; i%batch == 0 {
					h.Flush()
				}
			}
		})
	}
}

// serialName is the first label of forwarding's question.
func serialName(serial uint64) string {
	label := make([]byte, 16)
	for i := range label {
		label[i] = "0123456789abcdef"[serial>>(4*i)&15]
	}
	return string(label)
}

// BenchmarkForward includes the work of the server, which runs in the same process.
func BenchmarkForward(b *testing.B) {
	for _, window := range []int{1, 32} {
		b.Run("window="+itoa(window), func(b *testing.B) {
			f := run(b, benchConfig(newEcho(b), 10000))
			c := &counter{bell: make(chan struct{}, 1)}
			var serial uint64
			b.ReportAllocs()
			for b.Loop() {
				forwarding(b, f, c, &serial, window, window)
			}
		})
	}
}
