package listener

import (
	"net/netip"
	"sync"
)

// connTable knows the open TCP connections and keeps their limits.
type connTable struct {
	cfg      *Config
	mu       sync.Mutex
	conns    map[*conn]struct{}
	clients  map[netip.Addr]int
	draining bool
}

func (t *connTable) init(cfg *Config) {
	t.cfg = cfg
	t.conns = make(map[*conn]struct{})
	t.clients = make(map[netip.Addr]int)
}

func (t *connTable) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// add takes c in. When a limit is reached, the connection that has been idle
// longest, of that client where it is the client's limit, is taken out and
// returned, for the caller to close. ok is false when there is none, or when
// the server is stopping.
func (t *connTable) add(c *conn) (evicted *conn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return nil, false
	}
	client := c.peer.Addr()
	switch {
	case t.clients[client] >= t.cfg.MaxConnsPerClient:
		evicted = t.longestIdle(func(o *conn) bool { return o.peer.Addr() == client })
	case len(t.conns) >= t.cfg.MaxConns:
		evicted = t.longestIdle(func(*conn) bool { return true })
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

// longestIdle returns the connection among those that match which waits for a
// query since the earliest time, or nil.
func (t *connTable) longestIdle(match func(*conn) bool) *conn {
	var oldest *conn
	var since int64
	for c := range t.conns {
		if !match(c) {
			continue
		}
		if at, idle := c.idleSince(); idle && (oldest == nil || at < since) {
			oldest, since = c, at
		}
	}
	return oldest
}

func (t *connTable) insert(c *conn) {
	t.conns[c] = struct{}{}
	t.clients[c.peer.Addr()]++
}

// remove takes c out, if it still is in.
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

// drain makes every connection stop reading and end, and refuses new ones.
func (t *connTable) drain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = true
	for c := range t.conns {
		c.drain()
	}
}
