package transport

import (
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"sync"

	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// pool holds the sockets to one server. A random one carries each question, so that a forger
// has to guess the port too. It implements Link.
type pool struct {
	udp *UDP
	ep  route.Server

	mu     sync.Mutex
	random *mathrand.ChaCha8 // nil until the first question
	slots  []*socket
	closed bool
	turn   int // spreads sockets over pollers
}

// newRandom returns a random number generator whose output nobody can predict.
func newRandom() *mathrand.ChaCha8 {
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails, it aborts the program
	return mathrand.NewChaCha8(seed)
}

// draw returns a random number. p.mu is held.
func (p *pool) draw() uint64 {
	if p.random == nil {
		p.random = newRandom()
	}
	return p.random.Uint64()
}

// idTries bounds the search for a free message ID: it is the number of random sockets to try,
// each with three IDs.
const idTries = 4

var errNoID = errors.New("no id is free")

// Send implements Link.
func (p *pool) Send(c *Call, now int64) error {
	c.stream = nil
	if c.roomFor() > wire.MaxPacket {
		return errTooLong
	}
	if err := p.assign(c, now); err != nil {
		return err
	}
	p.udp.enqueue(c)
	return nil
}

// assign adds c to the table of a random socket under a random ID.
func (p *pool) assign(c *Call, now int64) error {
	cfg := p.udp.cfg.Load()
	sockets, uses, age := cfg.limits(&p.ep)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	for len(p.slots) < sockets {
		p.slots = append(p.slots, nil)
	}
	if c.Mixed {
		c.mix = p.draw()
	}
	for range idTries {
		draw := p.draw()
		i := int(draw>>48) % sockets
		s := p.slots[i]
		if s == nil || s.uses >= uses || now-s.opened >= int64(age) {
			var err error
			if s, err = p.renew(i, cfg, now); err != nil {
				return err
			}
		}
		s.uses++
		if s.addCall(c, draw) {
			return nil
		}
	}
	return errNoID
}

// renew puts a new socket into slot i. If none can be opened, for lack of ports or file
// descriptors, it returns the old one or any other.
func (p *pool) renew(i int, cfg *udpSettings, now int64) (*socket, error) {
	fresh, err := p.open(cfg, now)
	old := p.slots[i]
	if err == nil {
		if old != nil {
			old.release()
		}
		p.slots[i] = fresh
		return fresh, nil
	}
	if old != nil {
		return old, nil
	}
	if j := slices.IndexFunc(p.slots, func(s *socket) bool { return s != nil }); j >= 0 {
		return p.slots[j], nil
	}
	return nil, err
}

// portTries is how many ports of a range are tried for one socket.
const portTries = 16

// open opens one more socket, on the configured port or on a random one of the configured
// range.
func (p *pool) open(cfg *udpSettings, now int64) (*socket, error) {
	p.turn++
	poller := p.udp.pollers[p.turn%len(p.udp.pollers)]
	low, high := int(cfg.MinPort), int(cfg.MaxPort)
	if fixed := cfg.fixedPort(&p.ep); fixed != 0 || low == 0 && high == 0 {
		return openSocket(p, poller, fixed, now)
	}
	low = max(low, 1024)
	if high == 0 {
		high = 65535
	}
	var err error
	for range portTries {
		var s *socket
		port := low + int(p.draw()%uint64(max(high-low+1, 1)))
		if s, err = openSocket(p, poller, uint16(port), now); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// Cancel implements Link.
func (p *pool) Cancel(c *Call) bool { return c.sock != nil && c.sock.remove(c) }

// Rearm implements Link.
func (p *pool) Rearm(c *Call) bool { return c.sock != nil && c.sock.readd(c) }

// Doubt implements Link. It does nothing, because silence says nothing about a UDP socket.
func (p *pool) Doubt(*Call) {}

// Close implements Link. Sockets with open calls stay open until these end.
func (p *pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for i, s := range p.slots {
		if s != nil {
			s.release()
			p.slots[i] = nil
		}
	}
}

// Retire implements Link. It lets an idle program release its ports.
func (p *pool) Retire(now int64) {
	_, _, age := p.udp.cfg.Load().limits(&p.ep)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.slots {
		if s != nil && now-s.opened >= int64(age) {
			s.release()
			p.slots[i] = nil
		}
	}
}
