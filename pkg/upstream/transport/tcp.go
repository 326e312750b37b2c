package transport

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/upstream/route"
)

// TCP is the transport over TCP, and over TLS if it was made by [NewTLS].
type TCP struct {
	env      Env           // what the transport needs from its user
	patience atomic.Int64  // nanoseconds that a message may take
	idle     time.Duration // how long a connection stays open without traffic
	trust    func() *Trust // of NewTLS; nil: in clear
	dials    chan *stream  // connections to be made
	conns    atomic.Int32  // number of open connections
	dialled  atomic.Uint64 // connections made so far
	wrong    atomic.Uint64 // replies that matched no question
	// connect makes a connection; tests in virtual time replace it.
	connect func(context.Context, *route.Server) (net.Conn, error)
}

// NewTCP returns a transport. At most dials connections wait to be made at a time. A message
// may take as long as patience from its first octet to its last.
func NewTCP(env Env, dials int, patience time.Duration) *TCP {
	t := &TCP{env: env, dials: make(chan *stream, max(dials, 1)), idle: streamIdle, connect: connect}
	t.Configure(patience)
	return t
}

// Configure changes patience.
func (t *TCP) Configure(patience time.Duration) { t.patience.Store(int64(patience)) }

// WrongReplies returns the number of messages that answered no call.
func (t *TCP) WrongReplies() uint64 { return t.wrong.Load() }

// Dials returns the number of connections begun so far.
func (t *TCP) Dials() uint64 { return t.dialled.Load() }

// Conns returns the number of open connections.
func (t *TCP) Conns() int { return int(t.conns.Load()) }

// Link returns a new link to one server. Over TLS, report is called with each event of a
// connection, before the calls on that connection are told that they failed.
func (t *TCP) Link(ep route.Server, report func(h Handshake, now int64)) Link {
	p := &streamPool{tcp: t, ep: ep}
	if t.trust != nil {
		p.secure = &secure{report: report, idle: t.idle}
	}
	return p
}

// Run exchanges messages until ctx ends: it starts the goroutine of each connection. It returns when
// all have ended. Calls that are open then get no event.
func (t *TCP) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			for len(t.dials) > 0 {
				(<-t.dials).end(false, nil)
			}
			return
		case s := <-t.dials:
			wg.Go(func() { s.run(ctx) })
		}
	}
}

const (
	// maxStreams is how many shared connections a server gets. busyStream is the number of
	// questions from which a connection counts as full while another one may be made.
	maxStreams = 4
	busyStream = 16
	// singleFor is for how long a server that closes after each answer gets a separate
	// connection for each question, in nanoseconds.
	singleFor = int64(15 * time.Minute)
	// tlsSingleFor is the same over TLS, where a connection costs far more.
	tlsSingleFor = int64(time.Minute)
)

var errTooManyDials = errors.New("too many connections are being made")

// streamPool holds the TCP connections to one server, as few as are needed. It implements
// Link.
type streamPool struct {
	tcp    *TCP         // the transport that it belongs to
	ep     route.Server // the server
	secure *secure      // nil: in clear

	mu          sync.Mutex        // guards what follows
	random      *mathrand.ChaCha8 // makes ids; nil until the first question
	streams     []*stream         // the connections that take questions
	singleUntil int64             // until then, each connection carries one question
	closed      bool              // takes no more questions
	// lostAt is when a connection last ended with a question open. lostSince is when the
	// first one of the same burst did: a server that restarts ends all its connections. Both
	// are 0 before the first loss, which may come in the program's first second.
	lostAt, lostSince int64
}

// burst is how long after one connection others may end for the same reason, in nanoseconds.
const burst = int64(time.Second)

// encrypted reports whether the connections are encrypted.
func (p *streamPool) encrypted() bool { return p.secure != nil && !p.ep.TLS.Clear }

// Send implements Link.
func (p *streamPool) Send(c *Call, now int64) error {
	trust := p.trust()
	p.mu.Lock()
	defer p.mu.Unlock()
	c.sock = nil
	if p.closed {
		return ErrClosed
	}
	if p.random == nil {
		p.random = newRandom()
	}
	ids := p.random.Uint64()
	// Over TLS, a repeated question shares its new connection with others.
	alone := c.Alone && p.secure == nil || now < p.singleUntil
	if !alone {
		if s := p.leastBusy(now, trust, c.Alone); s != nil && s.addCall(c, ids, now) {
			return nil
		}
	}
	s := &stream{pool: p, table: calls{}, one: alone, made: now, used: now, idle: p.idle(), wake: make(chan struct{}, 1), gone: make(chan struct{})}
	s.addCall(c, ids, now)
	p.tcp.conns.Add(1)
	select {
	case p.tcp.dials <- s:
	default:
		p.tcp.conns.Add(-1)
		c.stream = nil
		return errTooManyDials
	}
	p.streams = append(p.streams, s)
	p.tcp.dialled.Add(1)
	return nil
}

// trust returns what servers are authenticated with now, nil in clear text. It may read
// files, so no lock may be held.
func (p *streamPool) trust() *Trust {
	if !p.encrypted() {
		return nil
	}
	return p.tcp.trust()
}

// idle returns how long a connection stays open without traffic, in nanoseconds. mu must be
// held.
func (p *streamPool) idle() int64 {
	if p.secure != nil {
		return int64(p.secure.idle)
	}
	return int64(p.tcp.idle)
}

// leastBusy returns the connection to use, or nil if another one should be made. fresh asks
// for a connection that was made after the last ones were lost, because older ones may be
// dead too. mu must be held.
func (p *streamPool) leastBusy(now int64, trust *Trust, fresh bool) *stream {
	var best *stream
	least, shared, dialling := 0, 0, false
	for _, s := range p.streams {
		if s.one {
			continue
		}
		s.retire(now, trust)
		dialling = dialling || s.dialling()
		if fresh && s.made < p.lostSince {
			continue
		}
		if n, ok := s.load(); ok {
			shared++
			if best == nil || n < least {
				best, least = s, n
			}
		}
	}
	if shared < maxStreams && least >= busyStream && p.mayDial(now, shared, dialling) {
		return nil
	}
	return best
}

// Cancel implements Link.
func (p *streamPool) Cancel(c *Call) bool { return c.stream != nil && c.stream.remove(c) }

// Rearm implements Link.
func (p *streamPool) Rearm(c *Call) bool { return c.stream != nil && c.stream.readd(c) }

// Doubt implements Link.
func (p *streamPool) Doubt(c *Call) {
	if c.stream != nil {
		c.stream.doubt(c)
	}
}

// Retire implements Link. Idle connections end by themselves.
func (p *streamPool) Retire(now int64) {
	trust := p.trust()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.streams {
		s.retire(now, trust)
	}
}

// remove removes s, which has ended. lost says that questions were open on it.
func (p *streamPool) remove(s *stream, lost bool, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if lost {
		if p.lostAt == 0 || now-p.lostAt > burst {
			p.lostSince = now
		}
		p.lostAt = now
	}
	p.streams = slices.DeleteFunc(p.streams, func(o *stream) bool { return o == s })
}

// answersOnce records that the server closes the connection after each answer.
func (p *streamPool) answersOnce(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.singleUntil = now + singleFor
	if p.secure != nil {
		p.singleUntil = now + tlsSingleFor
	}
}

// Close implements Link.
func (p *streamPool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, s := range p.streams {
		s.close()
	}
}
