package listener

import (
	"bytes"
	"io"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
)

// pump exchanges count packets with a server over one connected socket, window
// at a time, without allocating.
func pump(tb testing.TB, to netip.AddrPort, count, window int) {
	tb.Helper()
	c := dialUDP(tb, to)
	q, buf := query(1, 60), make([]byte, 512)
	for done := 0; done < count; done += window {
		for range window {
			if _, err := c.Write(q); err != nil {
				tb.Fatal(err)
			}
		}
		for range window {
			if _, err := c.Read(buf); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// A UDP packet costs no allocation, whichever way it is answered. What is
// allowed is for the runtime and the test itself.
func TestUDPAllocations(t *testing.T) {
	const packets, allowed = 20000, 400
	late := handlerFunc(func(p []byte, to ReplyTo, _ []byte) []byte {
		p[2] |= 0x80
		to.Send(p)
		return nil
	})
	var b Batch
	batch := handlerFunc(func(p []byte, to ReplyTo, _ []byte) []byte {
		b.Add(to, p)
		b.Flush()
		return nil
	})
	for _, tt := range []struct {
		name    string
		addr    string
		handler Handler
	}{
		{"bound", "127.0.0.1:0", handlerFunc(echo)},
		{"wildcard", "0.0.0.0:0", handlerFunc(echo)},
		{"wildcard v6", "[::]:0", handlerFunc(echo)},
		{"send", "0.0.0.0:0", late},
		{"batch", "0.0.0.0:0", batch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if raceEnabled && tt.name == "send" {
				return // sync.Pool drops at random under the race detector
			}
			addr := netip.MustParseAddrPort(tt.addr)
			s := start(t, Config{Addrs: []netip.AddrPort{addr}, sockets: 1, Handler: tt.handler})
			target := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addrs()[0].Port())
			if addr.Addr().Is6() {
				target = netip.AddrPortFrom(netip.IPv6Loopback(), target.Port())
			}
			pump(t, target, 1000, 10)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			pump(t, target, packets, 10)
			runtime.ReadMemStats(&after)
			if n := after.Mallocs - before.Mallocs; n > allowed {
				t.Errorf("%d allocations for %d packets", n, packets)
			}
		})
	}
}

func BenchmarkUDPEcho(b *testing.B) {
	for _, bb := range []struct{ name, addr string }{{"bound", "127.0.0.1:0"}, {"wildcard", "0.0.0.0:0"}} {
		b.Run(bb.name, func(b *testing.B) {
			s := start(b, Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort(bb.addr)}, sockets: 1, Handler: handlerFunc(echo)})
			c := dialUDP(b, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addrs()[0].Port()))
			const window = 16
			q, buf := query(1, 60), make([]byte, 512)
			b.ReportAllocs()
			waiting := 0
			for b.Loop() {
				c.Write(q)
				if waiting++; waiting == window {
					for ; waiting > 0; waiting-- {
						if _, err := c.Read(buf); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
		})
	}
}

func BenchmarkTCPEcho(b *testing.B) {
	s := start(b, Config{Handler: handlerFunc(echo)})
	c := dialTCP(b, s.Addrs()[0])
	frame, buf := appendFrame(nil, query(1, 60)), make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(frame)
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLocalOf(b *testing.B) {
	var c control
	n := c.setLocal(netip.MustParseAddr("127.0.0.2"))
	for b.Loop() {
		localOf(c[:n])
	}
}

// The longest answers over TCP are written from memory that is used again,
// however many a client asks for before it reads.
func TestLongAnswersAllocateLittle(t *testing.T) {
	const answers, allowed = 400, 16 << 10 // octets per answer, of 64 KiB
	if raceEnabled {
		return // sync.Pool drops at random under the race detector
	}
	long := make([]byte, MaxMessageBytes)
	for _, window := range []int{1, 4, 50} {
		t.Run(strconv.Itoa(window), func(t *testing.T) {
			s := start(t, Config{
				Addrs:   []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
				Handler: handlerFunc(func(_ []byte, _ ReplyTo, reply []byte) []byte { return append(reply, long...) }),
			})
			c := dialTCP(t, s.Addrs()[0])
			q := bytes.Repeat(appendFrame(nil, query(1, 60)), window)
			buf := make([]byte, window*(prefixBytes+len(long)))
			ask := func(n int) {
				for range n {
					if _, err := c.Write(q); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(c, buf); err != nil {
						t.Fatal(err)
					}
				}
			}
			ask(10)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			ask(answers / window)
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / answers; got > allowed {
				t.Errorf("%d octets allocated for each answer, want at most %d", got, allowed)
			}
		})
	}
}
