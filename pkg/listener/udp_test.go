package listener

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kube-dns/kube-dns/test/testkit"
)

func TestUDPRoundTrip(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(addr, func(t *testing.T) {
			ap := netip.MustParseAddrPort(addr)
			var mu sync.Mutex
			var got ReplyTo
			s := start(t, Config{Addrs: []netip.AddrPort{ap}, Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
				mu.Lock()
				got = to
				mu.Unlock()
				return echo(p, to, r)
			})})
			target := netip.MustParseAddr("127.0.0.1")
			if ap.Addr().Is6() {
				target = netip.MustParseAddr("::1")
			}
			c := dialUDP(t, netip.AddrPortFrom(target, s.Addrs()[0].Port()))
			for _, size := range []int{12, 40, 512, 4096} {
				q := query(uint16(size), size)
				wantBytes(t, answerTo(q), ask(t, c, q))
			}
			mu.Lock()
			defer mu.Unlock()
			if want := c.LocalAddr().(*net.UDPAddr).AddrPort(); got.Peer() != want {
				t.Errorf("peer %v, want %v", got.Peer(), want)
			}
			if got.Local() != target || got.Stream() {
				t.Errorf("local %v, stream %v; want %v, false", got.Local(), got.Stream(), target)
			}
		})
	}
}

// On a wildcard address the answer must leave from the address that was asked:
// a connected client would not take it from another.
func TestUDPSourceAddress(t *testing.T) {
	s := start(t, Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:0")}, Handler: handlerFunc(echo)})
	for _, ip := range []string{"127.0.0.2", "127.0.0.1", "127.9.9.9"} {
		c := dialUDP(t, netip.AddrPortFrom(netip.MustParseAddr(ip), s.Addrs()[0].Port()))
		q := query(7, 30)
		wantBytes(t, answerTo(q), ask(t, c, q))
	}
}

// Both wildcards share a port number because IPv6 sockets are IPv6 only.
func TestWildcardsSideBySide(t *testing.T) {
	port := quietPort(t).Port()
	start(t, Config{Addrs: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)}, Handler: handlerFunc(echo)})
	s6, err := Listen(Config{
		Addrs:   []netip.AddrPort{netip.AddrPortFrom(netip.IPv6Unspecified(), port)},
		Handler: handlerFunc(echo),
	})
	if err != nil {
		t.Fatal(err)
	}
	s6.Close()
}

func TestUDPDropsWhatCannotBeAQuery(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(echo)})
	c := dialUDP(t, s.Addrs()[0])
	for _, size := range []int{0, 1, 11, packetBytes + 1, 9000} {
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	q := query(1, packetBytes)
	wantBytes(t, answerTo(q), ask(t, c, q))
	testkit.Eventually(t, "all counted", func() bool {
		st := s.Stats()
		return st.UDPShort == 3 && st.UDPOversize == 2 && st.UDPQueries == 1 && st.UDPReplies == 1
	})
}

func TestUDPReplySizes(t *testing.T) {
	const udpMax = 65507
	sizes := map[uint16]int{1: 12, 2: 1232, 3: 9000, 4: udpMax, 5: udpMax + 1, 6: MaxMessageBytes + 1}
	s := start(t, Config{Handler: handlerFunc(func(p []byte, _ ReplyTo, reply []byte) []byte {
		if cap(reply) < MaxMessageBytes || len(reply) != 0 {
			t.Errorf("reply has length %d, capacity %d", len(reply), cap(reply))
		}
		return append(reply, query(uint16(p[1]), sizes[uint16(p[1])])...)
	})})
	for id, size := range sizes {
		c := dialUDP(t, s.Addrs()[0])
		if size > udpMax {
			c.Write(query(id, 12))
			continue
		}
		wantBytes(t, query(id, size), ask(t, c, query(id, 12)))
	}
	testkit.Eventually(t, "refused sizes counted", func() bool {
		st := s.Stats()
		return st.UDPSendErrors == 1 && st.Oversize == 1
	})
}

// A packet with the forged source port 0 cannot be answered.
func TestUDPPortZero(t *testing.T) {
	s, err := Listen(Config{Addrs: []netip.AddrPort{loopback4}, sockets: 1, Handler: handlerFunc(echo)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := newUDPLoop(s.udp[0])
	for i, peer := range []string{"127.0.0.1:0", "127.0.0.1:256", "127.0.0.1:1"} {
		l.in.Headers[i].Size = minMessageBytes
		l.in.peers[i].set(netip.MustParseAddrPort(peer), 0)
	}
	if err := l.raw.Control(func(fd uintptr) { l.work(fd, 3) }); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.UDPPortZero != 1 || st.UDPQueries != 2 || st.UDPSendErrors != 0 {
		t.Errorf("port 0: %d, queries %d, send errors %d; want 1, 2, 0", st.UDPPortZero, st.UDPQueries, st.UDPSendErrors)
	}
}

// A handler may return memory of its own.
func TestUDPForeignReply(t *testing.T) {
	own := query(9, 100)
	s := start(t, Config{Handler: handlerFunc(func([]byte, ReplyTo, []byte) []byte { return own })})
	wantBytes(t, own, ask(t, dialUDP(t, s.Addrs()[0]), query(1, 12)))
}

// A reply that the kernel refuses must not take its neighbours with it: in one
// batch, the second of three is too long for UDP.
func TestFlushGoesOnAfterAFailure(t *testing.T) {
	s := start(t, Config{sockets: 1, Handler: handlerFunc(func([]byte, ReplyTo, []byte) []byte { return nil })})
	c := dialUDP(t, s.Addrs()[0])
	to := ReplyTo{sink: s.udp[0], peer: c.LocalAddr().(*net.UDPAddr).AddrPort()}
	var b Batch
	b.Add(to, query(1, 20))
	b.Add(to, query(2, MaxMessageBytes))
	b.Add(to, query(3, 20))
	b.Flush()
	for _, id := range []uint16{1, 3} {
		wantBytes(t, query(id, 20), receive(t, c))
	}
	if st := s.Stats(); st.UDPSendErrors != 1 || st.UDPReplies != 2 {
		t.Errorf("got %d errors, %d replies; want 1, 2", st.UDPSendErrors, st.UDPReplies)
	}
}

func TestUDPPanic(t *testing.T) {
	var log bytes.Buffer
	cfg := Config{
		sockets: 1,
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
		Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
			if p[1] != 0 {
				panic("bad query")
			}
			return echo(p, to, r)
		}),
		OnPanic: func(p []byte, _ ReplyTo, r []byte) []byte {
			if p[1] == 2 {
				panic("again")
			}
			return append(r, "twelve bytes"...)
		},
	}
	s, stop := startStoppable(t, cfg)
	c := dialUDP(t, s.Addrs()[0])
	if got := string(ask(t, c, query(1, 12))); got != "twelve bytes" {
		t.Errorf("got %q", got)
	}
	c.Write(query(2, 12))
	q := query(0, 12)
	wantBytes(t, answerTo(q), ask(t, c, q))
	if got := s.Stats().Panics; got != 2 {
		t.Errorf("%d panics counted, want 2", got)
	}
	stop()
	for _, want := range []string{"bad query", "packet=000100000000000000000000", "client=127.0.0.1:"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, log.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d log lines, want 1: panics are rate-limited", n)
	}
}

// Without OnPanic a panic is silence, and the process lives.
func TestUDPPanicWithoutAnswer(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
		return echo(p[:int(p[1])*100], to, r)
	})})
	c := dialUDP(t, s.Addrs()[0])
	c.Write(query(255, 20))
	testkit.Eventually(t, "panic counted", func() bool { return s.Stats().Panics == 1 })
}

func TestUDPRandomBytes(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(echo)})
	c := dialUDP(t, s.Addrs()[0])
	rng := rand.New(rand.NewPCG(1, 2))
	var short uint64
	for range 2000 {
		p := make([]byte, rng.IntN(300))
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		if len(p) < minMessageBytes {
			short++
			c.Write(p)
			continue
		}
		if got := ask(t, c, p); !bytes.Equal(got, answerTo(p)) {
			t.Fatalf("sent %x, got %x", p, got)
		}
	}
	testkit.Eventually(t, "short ones counted", func() bool { return s.Stats().UDPShort == short })
}

// The kernel must spread clients over all sockets of the port: the first one
// is bound without SO_REUSEPORT and joins its siblings later.
func TestUDPSocketsShareTheLoad(t *testing.T) {
	s := start(t, Config{sockets: 3, Handler: handlerFunc(echo)})
	for range 200 {
		c := dialUDP(t, s.Addrs()[0])
		ask(t, c, query(1, 12))
		c.Close()
	}
	for i, u := range s.udp {
		if n := u.stats.queries.Load(); n < 20 {
			t.Errorf("socket %d had %d of 200 queries", i, n)
		}
	}
}

// Closing under load leaves no goroutine behind (start checks that) and does
// not hang, although the sockets' loops always find something to do.
func TestCloseUnderLoad(t *testing.T) {
	for range 5 {
		s, stop := startStoppable(t, Config{Handler: handlerFunc(echo)})
		var ended atomic.Bool
		var clients sync.WaitGroup
		for i := range 4 {
			c := dialUDP(t, s.Addrs()[0])
			clients.Go(func() {
				for q := query(uint16(i), 60); !ended.Load(); {
					c.Write(q)
				}
			})
		}
		testkit.Eventually(t, "load", func() bool { return s.Stats().UDPReplies > 500 })
		s.Close()
		ended.Store(true)
		clients.Wait()
		stop()
	}
}

func TestRunWithCancelledContext(t *testing.T) {
	s, err := Listen(Config{Addrs: []netip.AddrPort{loopback4}, Handler: handlerFunc(echo)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	before := runtime.NumGoroutine()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "no goroutines left", func() bool { return runtime.NumGoroutine() <= before })
}
