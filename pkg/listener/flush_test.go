package listener

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// flushing answers in Flush what Handle took.
type flushing struct {
	mu    sync.Mutex
	taken []held
	crash bool
}

type held struct {
	to  ReplyTo
	msg []byte
}

func (c *flushing) Handle(packet []byte, to ReplyTo, _ []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = append(c.taken, held{to, slices.Clone(packet)})
	return nil
}

func (*flushing) Preview([][]byte) {}

func (c *flushing) Split() Worker { return c }

func (c *flushing) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.taken {
		h.to.Send(h.msg)
	}
	c.taken = nil
	if c.crash {
		c.crash = false
		panic("as asked")
	}
}

// TestFlusher: Flush is called for a handler that collects queries, over UDP and over TCP,
// and may panic.
func TestFlusher(t *testing.T) {
	s, err := Listen(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: &flushing{crash: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	query := []byte("\x00\x07the twelve octets and more")
	for _, network := range []string{"udp", "tcp", "udp"} {
		c, err := net.Dial(network, s.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		sent := query
		if network == "tcp" {
			sent = append([]byte{0, byte(len(query))}, query...)
		}
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(c, got); err != nil || !slices.Equal(got, sent) {
			t.Errorf("%s: got %q, %v", network, got, err)
		}
		c.Close()
	}
	// The crash comes after the answer has left.
	testkit.Eventually(t, "panic counted", func() bool { return s.Stats().Panics == 1 })
}

// previewing answers with the number of packets that were previewed together with the query.
type previewing struct {
	shown map[*byte]int
	calls int
}

// each split handler has a state of its own.
type splitting struct{ crash bool }

func (splitting) Handle([]byte, ReplyTo, []byte) []byte { panic("the whole was asked, not a part") }

func (s splitting) Split() Worker {
	if s.crash {
		return crashing{}
	}
	return &previewing{shown: map[*byte]int{}}
}

func (p *previewing) Preview(packets [][]byte) {
	clear(p.shown)
	p.calls++
	for i, packet := range packets {
		p.shown[&packet[0]] = i + 1
	}
}

func (p *previewing) Handle(packet []byte, _ ReplyTo, reply []byte) []byte {
	n := p.shown[&packet[0]]
	if p.calls > 0 {
		delete(p.shown, &packet[0])
	}
	return append(append(reply, packet...), byte(n))
}

func (p *previewing) Flush() {
	if len(p.shown) > 0 {
		panic("a packet was shown and not given")
	}
}

// crashing panics wherever it can.
type crashing struct{}

func (crashing) Preview([][]byte)                      { panic("preview") }
func (crashing) Flush()                                { panic("flush") }
func (crashing) Handle([]byte, ReplyTo, []byte) []byte { panic("handle") }

// TestSplitAndPreview: each socket and connection has its own worker, which sees a batch
// before it handles the packets. A panic affects no other packet.
func TestSplitAndPreview(t *testing.T) {
	for _, crash := range []bool{false, true} {
		s := start(t, Config{sockets: 1, Handler: splitting{crash}, OnPanic: func(p []byte, _ ReplyTo, r []byte) []byte {
			return append(append(r, p...), 0xff)
		}})
		c := dialUDP(t, s.Addrs()[0])
		const count = 200
		for i := range count {
			c.Write(query(uint16(i), 20))
			if i%50 == 49 {
				for range 50 {
					if got := receive(t, c); len(got) != 21 || (got[20] == 0xff) != crash {
						t.Fatalf("crash %v: got %x", crash, got)
					}
				}
			}
		}
		panics := s.Stats().Panics
		if crash && panics < count || !crash && panics != 0 {
			t.Errorf("crash %v: %d panics", crash, panics)
		}
		tcp := dialTCP(t, s.Addrs()[0])
		write(t, tcp, query(1, 20))
		if got := read(t, tcp); len(got) != 21 || (got[20] == 0xff) != crash {
			t.Errorf("crash %v over TCP: got %x", crash, got)
		}
	}
}
