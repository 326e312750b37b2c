package upstream

import (
	"crypto/rand"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"
)

// pool is the sockets of one server. Which one carries a question is drawn at
// random, so that a guesser has to guess the port too.
type pool struct {
	mu     sync.Mutex
	random *mathrand.ChaCha8
	slots  []*socket
	closed bool
	turn   int // spreads sockets over pollers
}

var errPoolClosed = errors.New("server was removed")

// newRandom returns a generator that nobody can predict.
func newRandom() *mathrand.ChaCha8 {
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails, it aborts the program
	return mathrand.NewChaCha8(seed)
}

// poolLimits returns the size of a server's pool and a socket's greatest number
// of questions and age.
func (c *Config) poolLimits(spec *Server) (sockets, uses int, age time.Duration) {
	if c.fixedPort(spec) != 0 {
		// A second socket with the same ends would take the first one's replies.
		return 1, math.MaxInt, math.MaxInt64
	}
	addr := spec.Addr.Addr()
	sockets, uses, age = remoteSockets, remoteUses, remoteAge
	if addr.IsLoopback() {
		sockets, uses, age = loopbackSockets, loopbackUses, loopbackAge
	}
	if c.Sockets > 0 {
		sockets = c.Sockets
	}
	if c.SocketUses > 0 {
		uses = c.SocketUses
	}
	if c.SocketAge > 0 {
		age = c.SocketAge
	}
	return sockets, uses, age
}

// fixedPort is the one local port for a server, 0 if it is drawn.
func (c *Config) fixedPort(spec *Server) uint16 {
	if port := spec.Source.Port(); port != 0 {
		return port
	}
	return c.Port
}

// draw returns a random number.
func (p *pool) draw() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.random == nil {
		p.random = newRandom()
	}
	return p.random.Uint64()
}

// idTries bounds the search for a free id: sockets that are drawn, each tried
// with three ids.
const idTries = 4

// assign enters a in a random socket's table under a random id.
func (p *pool) assign(srv *server, set *Set, a *attempt, now int64) error {
	cfg := set.cfg.Load()
	sockets, uses, age := cfg.poolLimits(&srv.spec)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errPoolClosed
	}
	if p.random == nil {
		p.random = newRandom()
	}
	for len(p.slots) < sockets {
		p.slots = append(p.slots, nil)
	}
	if a.mixed {
		a.mix = p.random.Uint64()
	}
	for range idTries {
		draw := p.random.Uint64()
		i := int(draw>>48) % sockets
		s := p.slots[i]
		if s == nil || s.uses >= uses || now-s.opened >= int64(age) {
			var err error
			if s, err = p.renew(i, srv, set, cfg, now); err != nil {
				return err
			}
		}
		s.uses++
		if s.add(a, draw) {
			return nil
		}
	}
	return errors.New("no id is free")
}

// renew puts a fresh socket into slot i. When none can be had, because there
// are no more ports or files, it returns the old one or any other.
func (p *pool) renew(i int, srv *server, set *Set, cfg *Config, now int64) (*socket, error) {
	fresh, err := p.open(srv, set, cfg, now)
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

// open makes one more socket. A fixed port is asked for as it is, a range is
// drawn from.
func (p *pool) open(srv *server, set *Set, cfg *Config, now int64) (*socket, error) {
	p.turn++
	poller := set.pollers[p.turn%len(set.pollers)]
	low, high := int(cfg.MinPort), int(cfg.MaxPort)
	if fixed := cfg.fixedPort(&srv.spec); fixed != 0 || low == 0 && high == 0 {
		return openSocket(srv, poller, cfg, fixed, now)
	}
	low = max(low, 1024)
	if high == 0 {
		high = 65535
	}
	var err error
	for range 16 {
		var s *socket
		port := low + int(p.random.Uint64()%uint64(max(high-low+1, 1)))
		if s, err = openSocket(srv, poller, cfg, uint16(port), now); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// close gives all sockets back. Those with attempts live until these end.
func (p *pool) close() {
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

// retire gives sockets back that are past their age, so that an idle program
// holds no ports open.
func (p *pool) retire(now int64, age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.slots {
		if s != nil && now-s.opened >= int64(age) {
			s.release()
			p.slots[i] = nil
		}
	}
}
