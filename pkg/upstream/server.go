package upstream

import (
	"net/netip"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
)

// server is one upstream server: the ways to it and what is known of it. All
// groups that contain it share it.
type server struct {
	spec     Server
	links    [2]transport.Link // by policy.Way
	counters serverCounters
	health   policy.Server         // guarded by Set.health
	unsent   atomic.Pointer[error] // why the last packet that could not be sent was not
	tls      tlsState              // of a server that is asked over TLS
}

// label names the server in logs and metrics.
func (s *server) label() string { return s.spec.String() }

// close ends the server's sockets and connections. Those that are waited on
// live until that ends.
func (s *server) close() {
	for _, l := range s.links {
		l.Close()
	}
}

// Group is the servers of one domain. A question is asked of one group.
type Group struct {
	*crew
	domain string
}

// crew is the servers of one or more groups, in one order.
type crew struct {
	set     *Set
	servers []*server
	health  *policy.Group // of the same servers; guarded by Set.health
}

// Domain is the domain's text as in the configuration, "" for the servers for
// all names.
func (g *Group) Domain() string { return g.domain }

// Down reports whether none of the servers answers: nothing at all came from them
// although several different questions waited, or nobody is there.
func (g *Group) Down() bool {
	g.set.health.Lock()
	defer g.set.health.Unlock()
	return g.health.Down()
}

// GroupServers returns the addresses of a group's servers.
func (g *Group) GroupServers() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(g.servers))
	for i, s := range g.servers {
		addrs[i] = s.spec.Addr
	}
	return addrs
}

// noteUnsent remembers why a packet could not be sent.
func (s *server) noteUnsent(err error) {
	kept := err // only this escapes, so that packets that are sent allocate nothing
	s.unsent.Store(&kept)
}
