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

// TestFlusher: a handler that collects is told when to go on, over UDP and over
// TCP, and may crash doing so.
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
	eventually(t, "panic counted", func() bool { return s.Stats().Panics == 1 })
}
