package listener

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// hang bounds waits that only end late when something is broken.
const hang = testkit.Hang

// handlerFunc is a Handler made of a function.
type handlerFunc func(packet []byte, to ReplyTo, reply []byte) []byte

func (f handlerFunc) Handle(packet []byte, to ReplyTo, reply []byte) []byte {
	return f(packet, to, reply)
}

// echo answers with the query, its QR bit set.
func echo(packet []byte, _ ReplyTo, reply []byte) []byte {
	reply = append(reply, packet...)
	reply[2] |= 0x80
	return reply
}

// query returns a message of size octets with the given id.
func query(id uint16, size int) []byte {
	m := make([]byte, size)
	binary.BigEndian.PutUint16(m, id)
	for i := minMessageBytes; i < size; i++ {
		m[i] = byte(i * 7)
	}
	return m
}

// answerTo is what echo makes of q.
func answerTo(q []byte) []byte { return echo(q, ReplyTo{}, nil) }

var loopback4 = netip.MustParseAddrPort("127.0.0.1:0")

// start runs a server until the end of the test, which fails when a goroutine
// outlives it.
func start(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	s, _ := startStoppable(tb, cfg)
	return s
}

// running counts the servers that start has started: only when there is none
// can a goroutine of this package be said to be left over.
var running atomic.Int32

// stacks returns what every goroutine is doing.
func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// startStoppable is start with a function that stops the server and waits.
func startStoppable(tb testing.TB, cfg Config) (s *Server, stop func()) {
	tb.Helper()
	if cfg.Addrs == nil {
		cfg.Addrs = []netip.AddrPort{loopback4}
	}
	s, err := Listen(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	running.Add(1)
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				tb.Errorf("Run: %v", err)
			}
		case <-time.After(hang):
			tb.Fatalf("Run did not end:\n%s", stacks())
		}
		if open := s.Stats().TCPOpen; open != 0 {
			tb.Errorf("%d TCP connections open after Run", open)
		}
		if running.Add(-1) == 0 {
			testkit.Eventually(tb, "all of the server's goroutines ended", func() bool { return !bytes.Contains(stacks(), []byte("/pkg/listener.(*")) })
		}
	}
	tb.Cleanup(stop)
	return s, stop
}

// dialUDP returns a connected socket with a receive deadline.
func dialUDP(tb testing.TB, to netip.AddrPort) *net.UDPConn {
	tb.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(hang))
	return c
}

// ask sends q and returns the next datagram.
func ask(tb testing.TB, c net.Conn, q []byte) []byte {
	tb.Helper()
	if _, err := c.Write(q); err != nil {
		tb.Fatal(err)
	}
	return receive(tb, c)
}

func receive(tb testing.TB, c net.Conn) []byte {
	tb.Helper()
	buf := make([]byte, 1<<16)
	n, err := c.Read(buf)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.Clone(buf[:n])
}

// wantBytes fails when got is another message than want.
func wantBytes(tb testing.TB, want, got []byte) {
	tb.Helper()
	if !bytes.Equal(got, want) {
		tb.Errorf("got %d octets %.100x, want %d octets %.100x", len(got), got, len(want), want)
	}
}

// idleConns counts the connections that may be evicted. One is idle a moment
// after its answer was written.
func idleConns(s *Server) (n int) {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	for c := range s.conns.conns {
		if a, _ := c.activity(time.Now().UnixNano()); a == idle {
			n++
		}
	}
	return n
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := Config{Addrs: []netip.AddrPort{loopback4}, Handler: handlerFunc(echo)}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		sockets:  runtime.GOMAXPROCS(0),
		MaxConns: 1024, maxConnsPerClient: 256, maxPending: 128, maxBufferBytes: 8 << 20,
		idleTimeout: 10 * time.Second, readTimeout: 5 * time.Second, writeTimeout: 5 * time.Second,
		pendingTimeout: 20 * time.Second, grace: time.Second,
	}
	cfg.Addrs, cfg.Handler, cfg.Logger = nil, nil, nil
	if diff := cmp.Diff(want, cfg, cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestConfigErrors(t *testing.T) {
	_, err := Listen(Config{Addrs: []netip.AddrPort{{}}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"invalid address", "no handler"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if _, err := Listen(Config{Handler: handlerFunc(echo)}); err == nil || err.Error() != "no address to listen on" {
		t.Errorf("without an address: %v", err)
	}
}

func TestReplyTo(t *testing.T) {
	peer, local := netip.MustParseAddrPort("127.0.0.9:5"), netip.MustParseAddr("127.0.0.1")
	sink := &fakeSink{}
	to := NewReplyTo(sink, peer, local, true)
	if to.Peer() != peer || to.Local() != local || !to.Stream() {
		t.Errorf("got %v %v %v", to.Peer(), to.Local(), to.Stream())
	}
	if to != NewReplyTo(sink, peer, local, true) {
		t.Error("equal values differ")
	}
	if to == NewReplyTo(&fakeSink{}, peer, local, true) {
		t.Error("values of two sinks are equal")
	}
	to.Send([]byte("one"))
	var b Batch
	b.Add(to, []byte("two"))
	b.Flush()
	if diff := cmp.Diff([]string{"one", "two"}, sink.got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	ReplyTo{}.Send([]byte("nowhere"))
	b.Add(ReplyTo{}, []byte("nowhere"))
	b.Flush()
}

type fakeSink struct{ got []string }

func (f *fakeSink) Send(_ ReplyTo, msg []byte) { f.got = append(f.got, string(msg)) }
