package policy

import (
	"slices"
	"time"
)

// Group is the servers that may answer the same names, in the order of the
// configuration.
type Group struct {
	Servers []*Server
	// sent (questions since the last measurement) and exploredAt (its time) decide when all
	// servers are measured again.
	sent       int
	exploredAt Time // see sent
	// replicas says that some servers have the role Replica. cursor is the index of the one
	// that was measured last. random is the state of the generator that chooses among them;
	// it is never 0.
	replicas bool
	cursor   int
	random   uint64
}

// NewGroup returns a group whose servers count as measured at now. seed makes its choices
// among replicas differ from those of other programs.
func NewGroup(servers []*Server, now Time, seed uint64) *Group {
	g := &Group{Servers: servers, exploredAt: now, random: seed | 1}
	for _, s := range servers {
		g.replicas = g.replicas || s.role == Replica
	}
	return g
}

// All servers of a domain are asked after this many questions or this time, as in dnsmasq.
const (
	exploreQuestions = 50
	exploreEvery     = 20 * time.Second
)

// measured reports whether the round-trip time of a usable server is known.
func (g *Group) measured() bool {
	return slices.ContainsFunc(g.Servers, func(s *Server) bool { return s.srtt != 0 && s.Standing().Usable() })
}

// wantsExplore reports whether it is time to measure all servers. It returns true once per
// interval.
func (g *Group) wantsExplore(now Time) bool {
	if len(g.Servers) < 2 {
		return false
	}
	if g.sent++; g.sent <= exploreQuestions && now.Since(g.exploredAt) < exploreEvery {
		return false
	}
	g.exploredAt, g.sent = now, 0
	return true
}
