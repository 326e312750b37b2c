package dnstest

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

// Client is a listener.Sink that collects answers by id.
type Client struct {
	t  testing.TB
	h  listener.Handler
	To listener.ReplyTo

	mu      sync.Mutex
	answers map[uint16][]byte
	arrived chan uint16
}

// Send implements listener.Sink.
func (c *Client) Send(_ listener.ReplyTo, msg []byte) {
	id := uint16(msg[0])<<8 | uint16(msg[1])
	c.mu.Lock()
	c.answers[id] = append([]byte(nil), msg...)
	c.mu.Unlock()
	select {
	case c.arrived <- id:
	default:
	}
}

// NewClient returns a client with the address 127.0.0.<host>.
func NewClient(tb testing.TB, h listener.Handler, host byte, stream bool) *Client {
	tb.Helper()
	c := &Client{t: tb, h: h, answers: map[uint16][]byte{}, arrived: make(chan uint16, 1<<15)}
	peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, host}), 40000)
	c.To = listener.NewReplyTo(c, peer, netip.MustParseAddr("127.0.0.1"), stream)
	return c
}

// Start sends a query. Its answer may arrive at once or later.
func (c *Client) Start(q *dns.Msg) {
	c.t.Helper()
	c.Raw(Pack(q))
}

// Raw passes packet to the handler, as a listener does with a batch of one packet.
func (c *Client) Raw(packet []byte) {
	if h, ok := c.h.(interface{ Flush() }); ok {
		defer h.Flush()
	}
	if out := c.h.Handle(packet, c.To, make([]byte, 0, listener.MaxMessageBytes)); len(out) > 0 {
		c.Send(c.To, out)
	}
}

// Wait returns the answer to the query with that id.
func (c *Client) Wait(id uint16) *dns.Msg {
	c.t.Helper()
	b := c.WaitRaw(id)
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		c.t.Fatalf("answer %x: %v", b, err)
	}
	return m
}

// WaitRaw is Wait for the packet as it was sent.
func (c *Client) WaitRaw(id uint16) []byte {
	c.t.Helper()
	timeout := time.After(Hang)
	for {
		c.mu.Lock()
		b, ok := c.answers[id]
		delete(c.answers, id)
		c.mu.Unlock()
		if ok {
			return b
		}
		select {
		case <-c.arrived:
		case <-timeout:
			c.t.Fatalf("query %d got no answer", id)
		}
	}
}

// Ask sends a query and waits for its answer.
func (c *Client) Ask(q *dns.Msg) *dns.Msg {
	c.t.Helper()
	c.Start(q)
	return c.Wait(q.Id)
}
