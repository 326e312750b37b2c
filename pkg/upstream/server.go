package upstream

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// server is one server's health and sockets. It is shared by all groups that
// have it.
type server struct {
	spec     Server
	log      *slog.Logger
	pool     pool
	streams  streamPool
	counters serverCounters

	// Times are nanoseconds of Set.now. The averages are those of RFC 6298 §2;
	// two goroutines that update them at once may lose one sample.
	srtt, rttvar atomic.Int64
	// fails counts attempts in a row that brought nothing, a little beyond
	// downAfter at most. failing tells that the last reply was an error.
	fails   atomic.Int32
	failing atomic.Bool
	// probeAt is when a server that is down is tried again.
	probeAt atomic.Int64
	// loopProbe is the number in the last question sent to see whether the
	// server asks us, 0 for none; looping is what that showed.
	loopProbe atomic.Uint32
	looping   atomic.Bool
	// plainUntil is how long the server is asked without EDNS.
	plainUntil atomic.Int64
	// miscasedRun counts replies in a row that do not repeat the case of their
	// question, asIsUntil is how long names are therefore sent as asked.
	miscasedRun atomic.Int32
	asIsUntil   atomic.Int64
}

const (
	// downAfter is the number of attempts in a row without any reply after
	// which a server is left alone.
	downAfter = 2
	// probeEvery is the time between two tries of a server that is down.
	probeEvery = int64(time.Second)
	// plainFor is how long a server that fails on EDNS is asked without.
	plainFor = int64(15 * time.Minute)

	minRTO = int64(100 * time.Millisecond)
	maxRTO = int64(400 * time.Millisecond)
	// patience is how much longer than usual a server may take until another one
	// is asked: what a dead server of two adds to a query.
	patience  = int64(180 * time.Millisecond)
	neverSeen = int64(0)
)

// close ends the server's sockets and connections. Those that are waited on
// live until that ends.
func (s *server) close() {
	s.pool.close()
	s.streams.close()
}

func (s *server) down() bool { return s.fails.Load() >= downAfter }

// answered notes a reply. isError is whether it was SERVFAIL or the like.
func (s *server) answered(rtt int64, isError bool) {
	s.counters.observe(rtt)
	if old := s.srtt.Load(); old == neverSeen {
		s.srtt.Store(max(rtt, 1))
		s.rttvar.Store(rtt / 2)
	} else {
		off := rtt - old
		v := s.rttvar.Load()
		s.rttvar.Store(v + (max(off, -off)-v)/4)
		s.srtt.Store(max(old+off/8, 1))
	}
	if s.fails.Load() != 0 && s.fails.Swap(0) >= downAfter {
		s.log.Info("server answers again", "server", s.spec.Addr.String())
	}
	switch {
	case isError:
		s.failing.Store(true)
		s.counters.failed.Add(1)
	case s.failing.Load():
		s.failing.Store(false)
	}
}

// silent notes an attempt that brought nothing, by failures that weigh n.
func (s *server) silent(n int32, now int64, reason string) {
	s.counters.failed.Add(1)
	if s.down() {
		return
	}
	if fails := s.fails.Add(n); fails >= downAfter && fails-n < downAfter {
		s.probeAt.Store(now + probeEvery)
		s.log.Warn("server does not answer", "server", s.spec.Addr.String(), "reason", reason)
	}
}

// wantsProbe reports whether a server that is down is to be tried now; it says
// so to one caller only.
func (s *server) wantsProbe(now int64) bool {
	at := s.probeAt.Load()
	return s.down() && now >= at && s.probeAt.CompareAndSwap(at, now+probeEvery)
}

// rto is how long to wait for a reply before asking another server: RFC 6298 §2,
// within patience.
func (s *server) rto() int64 {
	srtt := s.srtt.Load()
	if srtt == neverSeen {
		return patience
	}
	return min(max(srtt+min(4*s.rttvar.Load(), patience), minRTO), maxRTO)
}

// rank orders servers: lower is better.
func (s *server) rank() int {
	switch {
	case s.looping.Load():
		return 4
	case s.down():
		return 3
	case s.fails.Load() > 0:
		return 2
	case s.failing.Load():
		return 1
	}
	return 0
}

// Group is the servers of one domain. A question is asked of one group.
type Group struct {
	domain  string
	servers []*server
	// sent and exploredAt decide when all servers are measured again.
	sent       atomic.Uint32
	exploredAt atomic.Int64
}

// Domain is the domain's text as in the configuration, "" for the servers for
// all names.
func (g *Group) Domain() string { return g.domain }

// Down reports whether none of the servers answers.
func (g *Group) Down() bool {
	for _, s := range g.servers {
		if !s.down() {
			return false
		}
	}
	return true
}

// dnsmasq asks all servers of a domain after this many questions or this time.
const (
	exploreQuestions = 50
	exploreEvery     = int64(20 * time.Second)
)

// wantsExplore reports whether it is time to measure all servers; it says so to
// one caller only.
func (g *Group) wantsExplore(now int64) bool {
	if len(g.servers) < 2 {
		return false
	}
	at := g.exploredAt.Load()
	if g.sent.Add(1) <= exploreQuestions && now-at < exploreEvery {
		return false
	}
	if !g.exploredAt.CompareAndSwap(at, now) {
		return false
	}
	g.sent.Store(0)
	return true
}

// next returns the server to ask now: of those that were asked least for this
// question, the best one, or under inOrder the first one that is well. tried
// tells how often a server was asked.
func (g *Group) next(inOrder bool, tried func(*server) int) *server {
	if len(g.servers) == 1 {
		return g.servers[0]
	}
	var best *server
	bestTried, bestRank, bestRTT := 0, 0, int64(0)
	for _, s := range g.servers {
		n, rank, rtt := tried(s), s.rank(), s.srtt.Load()
		if inOrder {
			rtt = 0
			if rank < 3 {
				rank = 0
			}
		} else if rtt == neverSeen {
			rtt = 1 << 62
		}
		if best == nil || n < bestTried || n == bestTried && (rank < bestRank || rank == bestRank && rtt < bestRTT) {
			best, bestTried, bestRank, bestRTT = s, n, rank, rtt
		}
	}
	return best
}

// measured reports whether any server's round trip time is known.
func (g *Group) measured() bool {
	for _, s := range g.servers {
		if s.srtt.Load() != neverSeen && s.rank() < 3 {
			return true
		}
	}
	return false
}
