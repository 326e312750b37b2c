package upstream

import (
	"slices"
	"sync"
)

const (
	// maxStreams is how many connections to a server carry several questions,
	// busyStream the questions with which one is full while there may be more.
	maxStreams = 4
	busyStream = 16
)

// streamPool is the TCP connections to one server: as few as will do. A server
// that closes after each answer gets a connection for each question instead.
type streamPool struct {
	mu          sync.Mutex
	streams     []*stream
	singleUntil int64 // until when each connection carries one question
	closed      bool
}

// assign gives a to a connection, to a fresh one of its own if alone. It
// does not wait. The lock of a's exchange is held.
func (p *streamPool) assign(a *attempt, alone bool, now int64) error {
	srv, set := a.srv, a.ex.set
	ids := srv.pool.draw()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errPoolClosed
	}
	alone = alone || now < p.singleUntil
	if !alone {
		if s := p.leastBusy(); s != nil && s.add(a, ids, now) {
			return nil
		}
	}
	s := &stream{
		set: set, srv: srv, one: alone, used: now,
		wake: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	s.add(a, ids, now)
	set.tcpConns.Add(1)
	select {
	case set.dials <- s:
	default:
		set.tcpConns.Add(-1)
		a.stream = nil
		return errTooManyDials
	}
	p.streams = append(p.streams, s)
	set.tcpDials.Add(1)
	return nil
}

// leastBusy returns the connection to use, nil if there should be one more.
func (p *streamPool) leastBusy() *stream {
	var best *stream
	least, shared := 0, 0
	for _, s := range p.streams {
		if s.one {
			continue
		}
		if n, ok := s.load(); ok {
			shared++
			if best == nil || n < least {
				best, least = s, n
			}
		}
	}
	if shared < maxStreams && least >= busyStream {
		return nil
	}
	return best
}

func (p *streamPool) remove(s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams = slices.DeleteFunc(p.streams, func(o *stream) bool { return o == s })
}

// single notes that the server closes after each answer.
func (p *streamPool) single(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.singleUntil = now + plainFor
}

// close makes all connections end when what they carry is answered.
func (p *streamPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, s := range p.streams {
		s.close()
	}
}
