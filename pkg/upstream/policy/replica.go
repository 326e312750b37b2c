package policy

import (
	"slices"
	"time"
)

// Role is a server's place among those of its group.
type Role uint8

const (
	// Peer servers have no special role.
	Peer Role = iota
	// Replica servers are instances of the same server. Questions are spread over the nearest
	// of those that answer.
	Replica
	// Reserve servers are addresses that lead to any of the replicas, such as that of their
	// Service. They are asked when no replica answers.
	Reserve
)

const (
	// nearby is how much longer than that of the nearest replica another one's round-trip
	// time may be for both to count as equally near. It exceeds the differences within a
	// zone: if only the nearest were asked, the nodes of a zone would overload the one
	// replica in it.
	nearby = 2 * time.Millisecond
	// replicasTried is how many replicas are asked a question before a reserve server is
	// asked.
	replicasTried = 2
	// measuredAtOnce bounds the replicas that are measured with one question.
	measuredAtOnce = 2
	// tryEvery is the least time between two attempts to measure a replica about which
	// nothing is known yet.
	tryEvery = time.Second
)

// Placed returns s, which must be new, with a role.
func (s Server) Placed(role Role) Server {
	s.role = role
	return s
}

// spares reports whether s is held back until no replica can be asked.
func (g *Group) spares(s *Server) bool {
	return s.role == Reserve && slices.ContainsFunc(g.Servers, func(o *Server) bool { return o.role == Replica && o.Standing().Usable() })
}

// turn returns a server's place in the order of roles. The lowest is asked first.
func (q *Query) turn(s *Server, standing Standing) int {
	usable := standing.Usable()
	switch {
	case s.role == Peer:
		return 0
	case s.role == Reserve && usable && q.replicasAsked() >= replicasTried:
		return -1
	case s.role == Replica && usable:
		return 0
	case usable:
		return 1
	}
	return 2
}

// replicasAsked returns how many attempts at this question went to replicas.
func (q *Query) replicasAsked() (n int) {
	for k := range q.attempts[:q.n] {
		if q.server(q.attempts[k].server).role == Replica {
			n++
		}
	}
	return n
}

// equal returns the index of a random replica that is as good as server best: it was asked
// this question as often (tried times), is as near within nearby, and has the same standing.
func (q *Query) equal(now Time, best, tried int) int {
	g := q.start.Group
	first := g.Servers[best]
	if first.srtt == 0 {
		return best
	}
	chosen, seen := best, uint64(0)
	for i, s := range g.Servers {
		if s.role != Replica || s.srtt == 0 || s.srtt > first.srtt+nearby || s.Standing() != first.Standing() ||
			s.paused(now) || q.waitsOn(i) || q.tried(i) != tried {
			continue
		}
		if seen++; g.draw()%seen == 0 {
			chosen = i
		}
	}
	return chosen
}

// draw returns a number that differs from call to call (xorshift64).
func (g *Group) draw() uint64 {
	g.random ^= g.random << 13
	g.random ^= g.random >> 7
	g.random ^= g.random << 17
	return g.random >> 16
}

// measureReplicas appends actions that measure servers that this question did not ask: those
// that are down, replicas about which nothing is known, and the others in turn, a few at a
// time.
func (q *Query) measureReplicas(now Time, dst []Action) []Action {
	g := q.start.Group
	explore := q.start.Config.Strategy == Fastest && g.measured() && g.wantsExplore(now)
	measured := 0
	for k := range g.Servers {
		i := (g.cursor + 1 + k) % len(g.Servers)
		s := g.Servers[i]
		if measured == measuredAtOnce || q.asked(i) {
			continue
		}
		fresh := s.role == Replica && s.srtt == 0 && now >= s.tryAt
		if s.wantsProbe(now) || (fresh || explore && s.role == Replica) && s.Standing().Usable() && s.measurable(now) {
			s.tryAt = now.Add(tryEvery)
			dst = append(dst, Action{Kind: Measure, Server: i})
			measured++
			if explore {
				g.cursor = i
			}
		}
	}
	return dst
}
