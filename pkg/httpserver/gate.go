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

	"github.com/kube-dns/kube-dns/pkg/internal/wake"
)

// How long a served connection must have been in its current state before it is closed to make
// room for a parked one.
const (
	headerPatience   = 400 * time.Millisecond // has not sent a whole request header
	responsePatience = 500 * time.Millisecond // its request is being answered
	donePatience     = 25 * time.Millisecond  // its response is being flushed
	// gateTick is how often parked connections are looked at.
	gateTick = 25 * time.Millisecond
)

// mostParked is the largest number of parked connections; a quarter of the process's file
// descriptors is another limit. If there are more, the client with the most parked connections
// loses the one that has waited longest, which the client has most likely given up.
const mostParked = 2048

// maxParked returns the limit for this process.
func maxParked() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur/4 >= mostParked {
		return mostParked
	}
	return int(limit.Cur / 4)
}

// gate is a net.Listener that limits the number of served connections.
type gate struct {
	inner     net.Listener  // does not change
	max       int           // largest number of served connections; does not change
	perClient int           // the same for one client address
	reserved  int           // how many of max only clients without a served connection can have
	maxParked int           // largest number of parked connections; does not change
	wake      chan struct{} // has a capacity of one; holds an element after ready has grown
	done      chan struct{} // closed by Close

	mu      sync.Mutex             // protects the fields below
	ready   []*gateConn            // served connections that Accept has not returned yet
	served  map[*gateConn]struct{} // all served connections
	clients map[netip.Addr]int     // number of served connections of each client
	parked  []*gateConn            // parked connections, oldest first
	closed  bool                   // Close has been called
	failure error                  // why inner cannot accept any more; nil if it can
}

// gateConn is a connection that notifies its gate when it is closed.
type gateConn struct {
	net.Conn
	gate   *gate
	client netip.Addr
	// gate.mu protects the fields below.
	state  http.ConnState
	since  time.Time // when state began
	served bool
}

func newGate(inner net.Listener, maxConns int) *gate {
	return &gate{
		inner: inner, max: maxConns, perClient: max(maxConns*3/4, 1), reserved: maxConns / 16, maxParked: maxParked(),
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

// isTemporary reports whether accepting may succeed again, by the rule of net/http.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// clientOf returns the address of the peer; it is invalid if the peer has none.
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

// admit parks c, and then serves the parked connections for which there is room.
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

// surplus returns the index of the parked connection to close for a new one. g.mu must be held.
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

// tick serves parked connections when served ones have become old enough to be closed.
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

// promote serves the parked connections for which there is room or a served one can be closed.
// Clients that have no served connection come first, and otherwise the oldest connections: a
// probe does not wait until a flood from many addresses has been served. g.mu must be held.
func (g *gate) promote(now time.Time) {
	g.promoteSome(now, func(c *gateConn) bool { return g.clients[c.client] == 0 })
	g.promoteSome(now, func(*gateConn) bool { return true })
}

// promoteSome is promote for the connections that match. g.mu must be held.
func (g *gate) promoteSome(now time.Time, match func(*gateConn) bool) {
	kept := g.parked[:0]
	stuck := make(map[netip.Addr]bool) // clients for which there is no room now
	full := false
	for _, c := range g.parked {
		if full || stuck[c.client] || !match(c) {
			kept = append(kept, c)
			continue
		}
		if !g.makeRoom(c.client, now) {
			full = len(g.served) >= g.limit(c.client) && g.clients[c.client] < g.perClient
			stuck[c.client] = true
			kept = append(kept, c)
			continue
		}
		c.served, c.state, c.since = true, http.StateNew, now
		g.served[c] = struct{}{}
		g.clients[c.client]++
		g.ready = append(g.ready, c)
		wake.Up(g.wake)
	}
	clear(g.parked[len(kept):])
	g.parked = kept
}

// limit returns the number of served connections at which there is no room for another one of
// client. g.mu must be held.
func (g *gate) limit(client netip.Addr) int {
	if g.clients[client] == 0 {
		return g.max
	}
	return g.max - g.reserved
}

// makeRoom reports whether one more connection of client may be served. It closes a served one
// if necessary and possible. g.mu must be held.
func (g *gate) makeRoom(client netip.Addr, now time.Time) bool {
	var victim *gateConn
	switch {
	case g.clients[client] >= g.perClient:
		victim = g.victim(now, func(c *gateConn) bool { return c.client == client })
	case len(g.served) >= g.limit(client):
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

// victim returns the served connection to close among those that match, or nil if none may be
// closed. g.mu must be held.
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

// yields reports whether c may be closed for another connection. Connections with lower ranks
// are closed first. c.gate.mu must be held.
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

// forget removes a served connection. g.mu must be held.
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

// changed implements [http.Server.ConnState]. For net/http a connection is active from the first
// octet of a request; here, it is only active when the header is complete (see handler).
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

// stateDone is the state of a connection whose handler has returned. net/http then flushes the
// response before it makes the connection idle; to close it, it first waits for the client to do
// so.
const stateDone http.ConnState = -1

// enter records that c has entered a state.
func (g *gate) enter(c *gateConn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.state, c.since = state, time.Now()
}

// Read implements net.Conn. It records the beginning of a request on an idle connection.
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

// next returns the next connection to serve, or nil if there is none yet.
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
		if c.served { // otherwise it has been closed to make room
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

// shut closes the gate and its parked connections. g.mu must be held.
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
