package policy

import "time"

// Role is a server's place among those of its group.
type Role uint8

const (
	// Peer servers have no special place.
	Peer Role = iota
	// Replica servers are the same server many times: questions are spread among the
	// nearest of them that answer.
	Replica
	// Reserve servers lead to any of the replicas. They are asked when no replica
	// answers.
	Reserve
)

const (
	// nearby is how much longer than to the nearest replica the way to another may be for
	// both to count as equal. It is more than differences within a zone: if
	// only the very nearest were asked, the nodes of a zone would overload the one
	// replica in it.
	nearby = 2 * time.Millisecond
	// replicasTried is how many replicas are asked the same question before a reserve is.
	replicasTried = 2
	// measuredAtOnce bounds the replicas that are measured with one question.
	measuredAtOnce = 2
	// tryEvery is the least time between two measurements of a replica of which nothing is
	// known yet.
	tryEvery = time.Second
)

// Placed returns s, which knows nothing yet, in a role.
func (s Server) Placed(role Role) Server {
	s.role = role
	return s
}

// spares reports whether s is left for when no replica can be asked.
func (g *Group) spares(s *Server) bool {
	if s.role != Reserve {
		return false
	}
	for _, o := range g.Servers {
		if o.role == Replica && o.Standing().Usable() {
			return true
		}
	}
	return false
}

// turn orders servers by role; the lowest comes first.
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

// replicasAsked is how many attempts at this question went to replicas.
func (q *Query) replicasAsked() (n int) {
	for k := range q.attempts[:q.n] {
		if q.server(q.attempts[k].server).role == Replica {
			n++
		}
	}
	return n
}

// equal returns one of the replicas that are as good as server best, which was asked
// this question tried times: as near within nearby, and of the same standing.
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

// measureReplicas looks after servers that were not asked: those that are down, replicas of
// which nothing is known, and in turn the others, a few at a time.
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
