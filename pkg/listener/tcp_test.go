package listener

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// dialTCP returns a connection with a deadline.
func dialTCP(tb testing.TB, to netip.AddrPort) *net.TCPConn {
	tb.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(hang))
	return c
}

// write sends msgs as frames in one segment.
func write(tb testing.TB, c net.Conn, msgs ...[]byte) {
	tb.Helper()
	var b []byte
	for _, m := range msgs {
		b = appendFrame(b, m)
	}
	if _, err := c.Write(b); err != nil {
		tb.Fatal(err)
	}
}

// read returns the next frame.
func read(tb testing.TB, c net.Conn) []byte {
	tb.Helper()
	m, err := readFrame(c)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func readFrame(c net.Conn) ([]byte, error) {
	var prefix [2]byte
	if _, err := io.ReadFull(c, prefix[:]); err != nil {
		return nil, err
	}
	m := make([]byte, binary.BigEndian.Uint16(prefix[:]))
	_, err := io.ReadFull(c, m)
	return m, err
}

// wantClosed fails unless the server ends the connection.
func wantClosed(tb testing.TB, c net.Conn) {
	tb.Helper()
	if m, err := readFrame(c); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		tb.Errorf("got %x, %v; want the connection closed", m, err)
	}
}

// collector is a handler that keeps where to answer.
type collector struct {
	mu  sync.Mutex
	tos map[uint16]ReplyTo
}

func (c *collector) Handle(p []byte, to ReplyTo, _ []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tos == nil {
		c.tos = make(map[uint16]ReplyTo)
	}
	c.tos[binary.BigEndian.Uint16(p)] = to
	return nil
}

// wait returns where to answer query id, once it came.
func (c *collector) wait(tb testing.TB, id uint16) (to ReplyTo) {
	tb.Helper()
	testkit.Eventually(tb, "query arrived", func() (ok bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		to, ok = c.tos[id]
		return ok
	})
	return to
}

func (c *collector) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.tos)
}

func TestTCPRoundTrip(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		t.Run(addr, func(t *testing.T) {
			var mu sync.Mutex
			var got ReplyTo
			s := start(t, Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort(addr)}, Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
				mu.Lock()
				got = to
				mu.Unlock()
				if cap(r) < MaxMessageBytes || len(r) != 0 {
					t.Errorf("reply has length %d, capacity %d", len(r), cap(r))
				}
				return echo(p, to, r)
			})})
			target := s.Addrs()[0]
			if target.Addr().IsUnspecified() {
				target = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), target.Port())
			}
			c := dialTCP(t, target)
			for _, size := range []int{12, 100, 2046, 2047, 5000, MaxMessageBytes} {
				q := query(uint16(size), size)
				write(t, c, q)
				wantBytes(t, answerTo(q), read(t, c))
			}
			mu.Lock()
			defer mu.Unlock()
			if want := c.LocalAddr().(*net.TCPAddr).AddrPort(); got.Peer() != want || got.Local() != target.Addr() || !got.Stream() {
				t.Errorf("from %v to %v, stream %v; want %v, %v, true", got.Peer(), got.Local(), got.Stream(), want, target.Addr())
			}
		})
	}
}

// RFC 7766 §6.2.1.1: queries may be pipelined, §7: answers may be out of order.
func TestTCPOutOfOrder(t *testing.T) {
	var col collector
	s := start(t, Config{Handler: &col})
	c := dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20), query(2, 20), query(3, 20))
	col.wait(t, 3).Send(query(3, 30))
	var b Batch
	b.Add(col.wait(t, 1), query(1, 30))
	b.Flush()
	if diff := cmp.Diff([][]byte{query(3, 30), query(1, 30)}, [][]byte{read(t, c), read(t, c)}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	col.wait(t, 2).Send(query(2, 40000))
	wantBytes(t, query(2, 40000), read(t, c))
}

// A client that closes its sending side still gets every answer, then the end.
func TestTCPHalfClose(t *testing.T) {
	var col collector
	s := start(t, Config{Handler: &col})
	c := dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20), query(2, 20))
	c.CloseWrite()
	col.wait(t, 2).Send(query(2, 20))
	read(t, c)
	time.Sleep(20 * time.Millisecond)
	col.wait(t, 1).Send(query(1, 20))
	wantBytes(t, query(1, 20), read(t, c))
	wantClosed(t, c)
}

// Frames may be cut anywhere.
func TestTCPOctetByOctet(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(echo)})
	c := dialTCP(t, s.Addrs()[0])
	b := appendFrame(appendFrame(nil, query(1, 13)), query(2, 12))
	for i := range b {
		if _, err := c.Write(b[i : i+1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Microsecond)
	}
	for id := range uint16(2) {
		if got := read(t, c); binary.BigEndian.Uint16(got) != id+1 {
			t.Errorf("got %x", got)
		}
	}
}

func TestTCPMalformed(t *testing.T) {
	tests := []struct {
		name string
		send []byte
		half bool
	}{
		{name: "length zero", send: []byte{0, 0}},
		{name: "shorter than a header", send: appendFrame(nil, make([]byte, 11))},
		{name: "breaks off", send: []byte{0, 20, 1, 2}, half: true},
		{name: "breaks off in the length", send: []byte{0}, half: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Config{Handler: handlerFunc(echo)})
			c := dialTCP(t, s.Addrs()[0])
			q := query(1, 20)
			if _, err := c.Write(append(appendFrame(nil, q), tt.send...)); err != nil {
				t.Fatal(err)
			}
			if tt.half {
				c.CloseWrite()
			}
			wantBytes(t, answerTo(q), read(t, c))
			wantClosed(t, c)
			if n := s.Stats().TCPMalformed; n != 1 {
				t.Errorf("counted %d times, want 1", n)
			}
		})
	}
}

// Answers reach a client that has sent more than the server will read: closing
// a connection with octets unread would reset it.
func TestTCPHangUpLosesNoAnswer(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(echo)})
	for range 20 {
		c := dialTCP(t, s.Addrs()[0])
		q := query(1, 3000)
		b := append(appendFrame(nil, q), 0, 0)
		if _, err := c.Write(append(b, make([]byte, 50000)...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // the server hangs up meanwhile
		wantBytes(t, answerTo(q), read(t, c))
		if _, err := readFrame(c); !errors.Is(err, io.EOF) {
			t.Errorf("after the answer: %v, want the end", err)
		}
		c.Close()
	}
}

func TestTCPIdleTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, Config{idleTimeout: 3 * time.Second, Handler: handlerFunc(echo)})
	c := dialTCP(t, s.Addrs()[0])
	for range 7 { // activity moves the end
		time.Sleep(500 * time.Millisecond)
		write(t, c, query(1, 20))
		read(t, c)
	}
	wantClosed(t, c)
	if n := s.Stats().TCPIdleClosed; n != 1 {
		t.Errorf("counted %d times, want 1", n)
	}
}

// An unanswered query keeps the connection beyond IdleTimeout, but not beyond
// PendingTimeout.
func TestTCPPendingTimeout(t *testing.T) {
	t.Parallel()
	var col collector
	s := start(t, Config{idleTimeout: 400 * time.Millisecond, pendingTimeout: 3 * time.Second, Handler: &col})
	c := dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20), query(2, 20))
	to := col.wait(t, 1)
	time.Sleep(800 * time.Millisecond)
	to.Send(query(1, 20))
	read(t, c)
	wantClosed(t, c)
	if n := s.Stats().TCPIdleClosed; n != 1 {
		t.Errorf("counted %d times, want 1", n)
	}
}

// Octets that trickle in do not move the end of a half-sent message.
func TestTCPReadTimeout(t *testing.T) {
	s := start(t, Config{readTimeout: 100 * time.Millisecond, Handler: handlerFunc(echo)})
	c := dialTCP(t, s.Addrs()[0])
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 1000 {
			if _, err := c.Write([]byte{1}); err != nil {
				return
			}
			_ = i
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("never closed")
	}()
	<-ended
	if n := s.Stats().TCPMalformed; n != 1 {
		t.Errorf("counted %d times, want 1", n)
	}
}

// At the limit, the connection that has been idle longest is closed to make room; if all are
// busy, the new one is refused.
func TestTCPLimits(t *testing.T) {
	for name, cfg := range map[string]Config{
		"all clients": {MaxConns: 2, maxConnsPerClient: 2},
		"one client":  {maxConnsPerClient: 2},
		"half of all": {MaxConns: 4},
	} {
		t.Run(name, func(t *testing.T) {
			var col collector
			cfg.Handler, cfg.grace = &col, 10*time.Millisecond
			s := start(t, cfg)
			busy := dialTCP(t, s.Addrs()[0])
			write(t, busy, query(1, 20))
			to := col.wait(t, 1)
			idle := dialTCP(t, s.Addrs()[0])
			testkit.Eventually(t, "second taken", func() bool { return s.Stats().TCPAccepted == 2 })
			third := dialTCP(t, s.Addrs()[0])
			wantClosed(t, idle)
			write(t, third, query(3, 20))
			col.wait(t, 3)
			refused := dialTCP(t, s.Addrs()[0])
			wantClosed(t, refused)
			to.Send(query(1, 20))
			read(t, busy)
			if st := s.Stats(); st.TCPEvicted != 1 || st.TCPRefused != 1 || st.TCPOpen != 2 {
				t.Errorf("evicted %d, refused %d, open %d; want 1, 1, 2", st.TCPEvicted, st.TCPRefused, st.TCPOpen)
			}
			busy.Close()
			testkit.Eventually(t, "closed one gone", func() bool { return s.Stats().TCPOpen == 1 })
			write(t, dialTCP(t, s.Addrs()[0]), query(5, 20))
			col.wait(t, 5)
		})
	}
}

// The limit of one client does not affect another client.
func TestTCPLimitIsPerClient(t *testing.T) {
	s := start(t, Config{maxConnsPerClient: 1, Handler: handlerFunc(echo)})
	from := func(ip string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		c, err := d.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(hang))
		write(t, c, query(1, 20))
		read(t, c)
		return c
	}
	one, two := from("127.0.0.1"), from("127.0.0.2")
	// A connection is idle a moment after its answer was written.
	testkit.Eventually(t, "both are idle", func() bool { return idleConns(s) == 2 })
	from("127.0.0.2")
	wantClosed(t, two)
	write(t, one, query(2, 20))
	read(t, one)
}

// A connection with too many unanswered queries is not read, and goes on as
// soon as answers leave.
func TestTCPBackpressure(t *testing.T) {
	var col collector
	s := start(t, Config{maxPending: 3, Handler: &col})
	c := dialTCP(t, s.Addrs()[0])
	for id := range uint16(10) {
		write(t, c, query(id, 20))
	}
	for id := range uint16(10) {
		to := col.wait(t, id)
		time.Sleep(5 * time.Millisecond)
		if n := col.len(); n > int(id)+3 {
			t.Fatalf("%d queries taken with %d answered", n, id)
		}
		to.Send(query(id, 20))
		read(t, c)
	}
}

// A client that asks and never reads must block neither senders nor others,
// and is thrown out.
func TestTCPSlowReader(t *testing.T) {
	big := query(1, MaxMessageBytes)
	s := start(t, Config{writeTimeout: 300 * time.Millisecond, Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
		if len(p) > 100 {
			return append(r, big...)
		}
		return echo(p, to, r)
	})})
	slow := dialTCP(t, s.Addrs()[0])
	slow.SetReadBuffer(4096)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for { // until it is thrown out
			if _, err := slow.Write(appendFrame(nil, query(1, 4000))); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("never thrown out")
				}
				return
			}
		}
	}()
	other := dialTCP(t, s.Addrs()[0])
	for range 10 {
		write(t, other, query(2, 20))
		read(t, other)
	}
	<-asked
	testkit.Eventually(t, "slow one counted", func() bool { return s.Stats().TCPWriteTimeouts == 1 })
	testkit.Eventually(t, "slow one gone", func() bool { return s.Stats().TCPOpen == 1 })
}

// A client that reads slowly, but does read, gets everything.
func TestTCPPatientReader(t *testing.T) {
	const n = 100
	s := start(t, Config{Handler: handlerFunc(func(p []byte, _ ReplyTo, r []byte) []byte {
		return append(r, query(binary.BigEndian.Uint16(p), 60000)...)
	})})
	c := dialTCP(t, s.Addrs()[0])
	go func() {
		for id := range uint16(n) {
			c.Write(appendFrame(nil, query(id, 20)))
		}
		c.CloseWrite()
	}()
	for id := range uint16(n) {
		if id%10 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		wantBytes(t, query(id, 60000), read(t, c))
	}
	wantClosed(t, c)
}

// Answers for a connection that is gone are counted, also when the same client
// port connects again.
func TestTCPAnswerAfterClose(t *testing.T) {
	var col collector
	s := start(t, Config{Handler: &col})
	// An address of its own, so that nobody else takes the port in between.
	c, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 7, 7, 7)}, net.TCPAddrFromAddrPort(s.Addrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	local := c.LocalAddr().(*net.TCPAddr)
	write(t, c, query(1, 20))
	old := col.wait(t, 1)
	c.SetLinger(0) // frees the port at once
	c.Close()
	testkit.Eventually(t, "gone", func() bool { return s.Stats().TCPOpen == 0 })

	again, err := net.DialTCP("tcp", local, net.TCPAddrFromAddrPort(s.Addrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	again.SetDeadline(time.Now().Add(hang))
	write(t, again, query(2, 20))
	fresh := col.wait(t, 2)
	if old == fresh || old.Peer() != fresh.Peer() {
		t.Errorf("old %v and new %v: want different values of one peer", old, fresh)
	}
	old.Send(query(1, 20))
	fresh.Send(query(2, 20))
	wantBytes(t, query(2, 20), read(t, again))
	if n := s.Stats().TCPLate; n != 1 {
		t.Errorf("counted %d times, want 1", n)
	}
}

func TestTCPOversizeReply(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
		if p[1] == 1 {
			return make([]byte, MaxMessageBytes+1)
		}
		return echo(p, to, r)
	})})
	c := dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20), query(2, 20))
	if got := read(t, c); got[1] != 2 {
		t.Errorf("got %x", got)
	}
	if n := s.Stats().Oversize; n != 1 {
		t.Errorf("counted %d times, want 1", n)
	}
}

func TestTCPPanic(t *testing.T) {
	s := start(t, Config{
		Handler: handlerFunc(func([]byte, ReplyTo, []byte) []byte { panic("bad query") }),
		OnPanic: echo,
	})
	c := dialTCP(t, s.Addrs()[0])
	for id := range uint16(3) {
		write(t, c, query(id, 20))
		wantBytes(t, answerTo(query(id, 20)), read(t, c))
	}
	if n := s.Stats().Panics; n != 3 {
		t.Errorf("counted %d times, want 3", n)
	}
}

func TestTCPRandomBytes(t *testing.T) {
	s := start(t, Config{Handler: handlerFunc(echo), readTimeout: 50 * time.Millisecond})
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		c := dialTCP(t, s.Addrs()[0])
		p := make([]byte, rng.IntN(5000))
		for i := range p {
			p[i] = byte(rng.Uint32() & rng.Uint32())
		}
		go func() {
			c.Write(p)
			c.CloseWrite()
		}()
		for {
			if _, err := readFrame(c); err != nil {
				break
			}
		}
	}
	testkit.Eventually(t, "all closed", func() bool { return s.Stats().TCPOpen == 0 })
}

// Stopping lets queries that were taken be answered, within the grace.
func TestTCPGrace(t *testing.T) {
	var col collector
	// With this grace stop fails, unless the connections end by themselves.
	s, stop := startStoppable(t, Config{Handler: &col, grace: 3 * hang})
	c, idle := dialTCP(t, s.Addrs()[0]), dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20))
	to := col.wait(t, 1)
	timer := time.AfterFunc(50*time.Millisecond, func() { to.Send(query(1, 20)) })
	defer timer.Stop()
	stop()
	wantBytes(t, query(1, 20), read(t, c))
	wantClosed(t, c)
	wantClosed(t, idle)
}

// A connection whose answers never come does not hold up the end.
func TestTCPGraceEnds(t *testing.T) {
	var col collector
	s, stop := startStoppable(t, Config{Handler: &col, grace: 30 * time.Millisecond})
	c := dialTCP(t, s.Addrs()[0])
	write(t, c, query(1, 20))
	col.wait(t, 1)
	idle := dialTCP(t, s.Addrs()[0])
	stop()
	wantClosed(t, c)
	wantClosed(t, idle)
}

// Many connections, answered at once and late from several goroutines, while
// the server stops: nothing hangs, nothing leaks.
func TestTCPStopUnderLoad(t *testing.T) {
	tos, done := make(chan ReplyTo, 1000), make(chan struct{})
	s, stop := startStoppable(t, Config{grace: 50 * time.Millisecond, Handler: handlerFunc(func(p []byte, to ReplyTo, r []byte) []byte {
		if p[1]%2 == 0 {
			select {
			case tos <- to:
				return nil
			default:
			}
		}
		return echo(p, to, r)
	})})
	var senders, clients sync.WaitGroup
	for range 3 {
		senders.Go(func() {
			var b Batch
			for to := range untilDone(tos, done) {
				b.Add(to, query(1, 100))
				b.Flush()
			}
		})
	}
	for range 10 {
		c := dialTCP(t, s.Addrs()[0])
		clients.Go(func() {
			for id := uint16(0); ; id++ {
				if _, err := c.Write(appendFrame(nil, query(id, 30))); err != nil {
					return
				}
			}
		})
		clients.Go(func() { io.Copy(io.Discard, c) })
	}
	testkit.Eventually(t, "load", func() bool { return s.Stats().TCPReplies > 2000 })
	// The clients' goroutines must be gone before stop counts: they end when the
	// server closes their connections.
	s.Close()
	clients.Wait()
	close(done)
	senders.Wait()
	stop()
}
