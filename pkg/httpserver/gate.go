package httpserver

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How old a served connection must be, in its present state, to give way to a
// parked one.
const (
	headerPatience   = 400 * time.Millisecond // has not sent a whole request header
	responsePatience = 500 * time.Millisecond // its request is being answered
	donePatience     = 25 * time.Millisecond  // its response is being flushed
	// gateTick is how often parked connections are looked at.
	gateTick = 25 * time.Millisecond
)

// mostParked bounds the parked connections, as does a quarter of the process's
// file descriptors. Beyond it the client with most of them loses the one that
// has waited longest, whose sender has most likely given up.
const mostParked = 2048

// maxParked returns the bound for this process.
func maxParked() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur/4 >= mostParked {
		return mostParked
	}
	return int(limit.Cur / 4)
}

// gate is a net.Listener that lets through a bounded number of connections.
type gate struct {
	inner     net.Listener
	max       int           // connections served
	perClient int           // connections of one client address served
	maxParked int           // connections that wait
	wake      chan struct{} // holds a token after ready has grown
	done      chan struct{} // closed by Close

	mu      sync.Mutex  // guards all that follows
	ready   []*gateConn // served, but not yet returned by Accept
	served  map[*gateConn]struct{}
	clients map[netip.Addr]int // number of served connections
	parked  []*gateConn        // oldest first
	closed  bool
	failure error // of inner, when it is broken
}

// gateConn is a connection that tells its gate when it is closed.
type gateConn struct {
	net.Conn
	gate   *gate
	client netip.Addr
	// The rest is guarded by gate.mu.
	state  http.ConnState
	since  time.Time // when state began
	served bool
}

func newGate(inner net.Listener, maxConns int) *gate {
	return &gate{
		inner: inner, max: maxConns, perClient: max(maxConns*3/4, 1), maxParked: maxParked(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		served: make(map[*gateConn]struct{}), clients: make(map[netip.Addr]int),
	}
}

// run accepts connections until the gate is closed.
func (g *gate) run() {
	go g.tick()
	for {
		nc, err := g.inner.Accept()
		if err != nil {
			select {
			case <-g.done:
				return
			case <-time.After(gateTick): // too many open files, for example
			}
			if isTemporary(err) {
				continue
			}
			g.fail(err)
			return
		}
		c := &gateConn{Conn: nc, gate: g, client: clientOf(nc)}
		g.admit(c)
	}
}

// isTemporary reports whether accepting may succeed again, as net/http decides.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// clientOf returns the address of the peer, invalid if it has none.
func clientOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// fail makes Accept return err.
func (g *gate) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.failure = err
		g.shut()
	}
}

// admit parks c, and serves those for which there is room.
func (g *gate) admit(c *gateConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		_ = c.Conn.Close()
		return
	}
	if len(g.parked) >= g.maxParked {
		i := g.surplus()
		_ = g.parked[i].Conn.Close()
		g.parked = slices.Delete(g.parked, i, i+1)
	}
	g.parked = append(g.parked, c)
	g.promote(time.Now())
}

// surplus returns the index of the parked connection that gives way to a new
// one. The lock is held.
func (g *gate) surplus() int {
	first, count := make(map[netip.Addr]int), make(map[netip.Addr]int)
	victim := 0
	for i, c := range g.parked {
		if count[c.client]++; count[c.client] == 1 {
			first[c.client] = i
		}
		if f := first[c.client]; count[c.client] > count[g.parked[victim].client] {
			victim = f
		}
	}
	return victim
}

// tick lets parked connections in as served ones become old enough to give way.
func (g *gate) tick() {
	ticker := time.NewTicker(gateTick)
	defer ticker.Stop()
	for {
		select {
		case <-g.done:
			return
		case now := <-ticker.C:
			g.mu.Lock()
			g.promote(now)
			g.mu.Unlock()
		}
	}
}

// promote serves parked connections, oldest first, for which there is room or a
// served one that gives way. The lock is held.
func (g *gate) promote(now time.Time) {
	kept := g.parked[:0]
	stuck := make(map[netip.Addr]bool) // clients that got no room just now
	full := false
	for _, c := range g.parked {
		if full || stuck[c.client] || !g.makeRoom(c.client, now) {
			full = full || len(g.served) >= g.max && g.clients[c.client] < g.perClient
			stuck[c.client] = true
			kept = append(kept, c)
			continue
		}
		c.served, c.state, c.since = true, http.StateNew, now
		g.served[c] = struct{}{}
		g.clients[c.client]++
		g.ready = append(g.ready, c)
		select {
		case g.wake <- struct{}{}:
		default: // there is a token
		}
	}
	clear(g.parked[len(kept):])
	g.parked = kept
}

// makeRoom reports whether one more connection of client may be served, after
// closing one where that is needed and possible. The lock is held.
func (g *gate) makeRoom(client netip.Addr, now time.Time) bool {
	var victim *gateConn
	switch {
	case g.clients[client] >= g.perClient:
		victim = g.victim(now, func(c *gateConn) bool { return c.client == client })
	case len(g.served) >= g.max:
		victim = g.victim(now, func(*gateConn) bool { return true })
	default:
		return true
	}
	if victim == nil {
		return false
	}
	g.forget(victim)
	_ = victim.Conn.Close()
	return true
}

// victim returns the served connection that gives way among those that match,
// nil when none does. The lock is held.
func (g *gate) victim(now time.Time, match func(*gateConn) bool) *gateConn {
	var (
		best     *gateConn
		bestRank int
	)
	for c := range g.served {
		rank, ok := c.yields(now)
		if !ok || !match(c) {
			continue
		}
		if best == nil || rank < bestRank || rank == bestRank && c.since.Before(best.since) {
			best, bestRank = c, rank
		}
	}
	return best
}

// yields reports whether c may be closed for another connection; lower ranks go
// first. The gate's lock is held.
func (c *gateConn) yields(now time.Time) (rank int, ok bool) {
	age := now.Sub(c.since)
	switch c.state {
	case http.StateIdle:
		return 0, true
	case stateDone:
		return 1, age >= donePatience
	case http.StateNew:
		return 1, age >= headerPatience
	default:
		return 2, age >= responsePatience
	}
}

// forget takes a served connection out. The lock is held.
func (g *gate) forget(c *gateConn) {
	if !c.served {
		return
	}
	c.served = false
	delete(g.served, c)
	if g.clients[c.client]--; g.clients[c.client] <= 0 {
		delete(g.clients, c.client)
	}
}

// changed is [http.Server.ConnState]. net/http calls a connection active from
// the first octet of a request on; it counts as such only when the whole header
// is there (see handler).
func (g *gate) changed(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*gateConn)
	if !ok || state == http.StateActive || state == http.StateNew {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.state, c.since = state, time.Now()
	if len(g.parked) > 0 {
		g.promote(c.since)
	}
}

// stateDone is the state of a connection whose handler has returned. Before
// net/http calls it idle it flushes the response, and where it closes the
// connection it first waits for the client to do so.
const stateDone http.ConnState = -1

// enter notes that c has entered a state.
func (g *gate) enter(c *gateConn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.state, c.since = state, time.Now()
}

// Read notes the beginning of a request on an idle connection.
func (c *gateConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.gate.mu.Lock()
		if c.state == http.StateIdle {
			c.state, c.since = http.StateNew, time.Now()
		}
		c.gate.mu.Unlock()
	}
	return n, err
}

// Close implements net.Conn.
func (c *gateConn) Close() error {
	g := c.gate
	g.mu.Lock()
	g.forget(c)
	if len(g.parked) > 0 && !g.closed {
		g.promote(time.Now())
	}
	g.mu.Unlock()
	return c.Conn.Close()
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		if c, err := g.next(); c != nil || err != nil {
			return c, err
		}
		select {
		case <-g.wake:
		case <-g.done:
		}
	}
}

// next returns the next connection to serve, nil if there is none yet.
func (g *gate) next() (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.failure != nil:
		return nil, g.failure
	case g.closed:
		return nil, net.ErrClosed
	}
	for len(g.ready) > 0 {
		c := g.ready[0]
		g.ready = append(g.ready[:0], g.ready[1:]...)
		if c.served { // else it had to give way meanwhile
			return c, nil
		}
	}
	return nil, nil
}

// Addr implements net.Listener.
func (g *gate) Addr() net.Addr { return g.inner.Addr() }

// Close implements net.Listener.
func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.shut()
	return g.inner.Close()
}

// shut ends the gate. The lock is held.
func (g *gate) shut() {
	g.closed = true
	close(g.done)
	for _, c := range g.parked {
		_ = c.Conn.Close()
	}
	g.parked = nil
	for _, c := range g.ready {
		g.forget(c)
		_ = c.Conn.Close()
	}
	g.ready = nil
}
