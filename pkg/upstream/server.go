package upstream

import (
	"net/netip"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/transport"
)

// server is one upstream server: the links to it and what is known about it. All groups that
// contain it share it.
type server struct {
	spec     Server
	links    [2]transport.Link // by policy.Way
	counters serverCounters
	health   policy.Server         // guarded by Set.health
	unsent   atomic.Pointer[error] // the last error of sending a packet
	tls      tlsState              // of a server that is asked over TLS
}

// label names the server in logs and metrics.
func (s *server) label() string { return s.spec.String() }

// close ends the server's sockets and connections. Those with open questions stay until these
// end.
func (s *server) close() {
	for _, l := range s.links {
		l.Close()
	}
}

// Group is the servers of one domain. Each question is sent to one group.
type Group struct {
	*crew
	domain string
}

// crew is a list of servers, in order, that one or more groups share.
type crew struct {
	servers []*server
	health  *policy.Group // of the same servers; guarded by Set.health
}

// Domain returns the domain as written in the configuration, or "" for the servers for all
// names and for no group.
func (g *Group) Domain() string {
	if g == nil {
		return ""
	}
	return g.domain
}

// GroupServers returns the addresses of a group's servers, none for no group.
func (g *Group) GroupServers() []netip.AddrPort {
	if g == nil {
		return nil
	}
	addrs := make([]netip.AddrPort, len(g.servers))
	for i, s := range g.servers {
		addrs[i] = s.spec.Addr
	}
	return addrs
}

// noteUnsent stores the reason why a packet could not be sent.
func (s *server) noteUnsent(err error) {
	kept := err // only this escapes, so sending allocates nothing
	s.unsent.Store(&kept)
}
