package listener

import (
	"net/netip"
	"sync"
)

// connTable holds the open TCP connections and enforces the limits on their number.
// It is safe for concurrent use.
type connTable struct {
	cfg      *Config
	mu       sync.Mutex         // protects the fields below
	conns    map[*conn]struct{} // the open connections
	clients  map[netip.Addr]int // the number of connections of each client
	draining bool               // the server is stopping
}

func (t *connTable) init(cfg *Config) {
	t.cfg = cfg
	t.conns = make(map[*conn]struct{})
	t.clients = make(map[netip.Addr]int)
}

// open returns the number of open connections.
func (t *connTable) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// admit adds c to the table. If a limit is reached, it removes the connection that
// must make room (see Config.MaxConns) and returns it as evicted; the caller must
// close it. ok is false if there is no such connection, or the server is stopping.
func (t *connTable) admit(c *conn, now int64) (evicted *conn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return nil, false
	}
	client := c.peer.Addr()
	switch {
	case t.clients[client] >= t.cfg.maxConnsPerClient:
		evicted = t.victim(now, stalled, func(o *conn) bool { return o.peer.Addr() == client })
	case len(t.conns) >= t.cfg.MaxConns:
		evicted = t.victim(now, stalled, func(*conn) bool { return true })
		if evicted == nil {
			evicted = t.ofLargestClient(client, now)
		}
	default:
		t.insert(c)
		return nil, true
	}
	if evicted == nil {
		return nil, false
	}
	t.delete(evicted)
	t.insert(c)
	return evicted, true
}

// victim returns the connection to close first among those that match and are not
// more active than limit, or nil if there is none. t.mu must be held.
func (t *connTable) victim(now int64, limit activity, match func(*conn) bool) *conn {
	var (
		first *conn
		least activity
		since int64
	)
	for c := range t.conns {
		if !match(c) {
			continue
		}
		a, last := c.activity(now)
		if a <= limit && (first == nil || a < least || a == least && last < since) {
			first, least, since = c, a, last
		}
	}
	return first
}

// ofLargestClient returns a connection of the client with the most connections, if
// that client would still have at least as many as the client of the new connection.
// Otherwise it returns nil. t.mu must be held.
func (t *connTable) ofLargestClient(newcomer netip.Addr, now int64) *conn {
	var largest netip.Addr
	for client, n := range t.clients {
		if n > t.clients[largest] {
			largest = client
		}
	}
	if t.clients[largest] <= t.clients[newcomer]+1 {
		return nil
	}
	return t.victim(now, busy, func(c *conn) bool { return c.peer.Addr() == largest })
}

func (t *connTable) insert(c *conn) {
	t.conns[c] = struct{}{}
	t.clients[c.peer.Addr()]++
}

// remove removes c if it is in the table.
func (t *connTable) remove(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delete(c)
}

func (t *connTable) delete(c *conn) {
	if _, in := t.conns[c]; !in {
		return
	}
	delete(t.conns, c)
	client := c.peer.Addr()
	if t.clients[client]--; t.clients[client] == 0 {
		delete(t.clients, client)
	}
}

// drain makes every connection stop reading and then end, and refuses new ones.
func (t *connTable) drain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	for c := range t.conns {
		c.drain()
	}
}
