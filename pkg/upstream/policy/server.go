package policy

import "time"

// Server is what is known of one upstream server. The zero value knows nothing.
// All groups that contain a server share it.
type Server struct {
	// Failures counts attempts that brought nothing usable: errors, silence,
	// unreadable replies, refused ports.
	Failures uint64
	// lastFault is the last of them, or the last attempt that could not be sent.
	lastFault Fault

	// srtt and rttvar are the averages of RFC 6298 §2; srtt is 0 while unknown.
	srtt, rttvar time.Duration
	// heardAt is when the last reply came.
	heardAt Time
	// failing says that the last reply was an error.
	failing bool
	// doubtSince is when the first of the attempts was sent that are unanswered
	// since the server was last heard; 0 for none. doubtKey is its question.
	doubtSince Time
	doubtKey   uint64 // see doubtSince
	// down says that the server is not asked except for a probe now and then;
	// probeAt is the time of the next one.
	down    bool
	probeAt Time // see down
	// mute says that the server is down because of silence, not because the
	// network reported it as unreachable.
	mute bool

	edns    ednsMemory   // what is known about the server and EDNS
	casing  caseMemory   // what is known about the server and random case
	streams streamMemory // what is known about TCP to the server
	secure  secureState  // what is known about TLS to the server
	spread  float64      // constant; see NewSecure
	role    Role         // constant; see NewGroup
	// tryAt is when a replica may be measured next because nothing is known of it.
	tryAt   Time
	loop    loopState // whether the server sends our questions back
	notices notices   // the messages about the server to log
}

const (
	// downAfter is how long nothing at all may come from a server, while at
	// least two different questions wait for it, until it counts as down.
	downAfter = time.Second
	// probeEvery is the time between two probes of a server that is down.
	probeEvery = time.Second

	minRTO = 100 * time.Millisecond
	maxRTO = 400 * time.Millisecond
	// patience is how much longer than usual a server may take until another
	// one is asked. It is what a dead server of two adds to a question.
	patience = 180 * time.Millisecond
)

// Standing is how well a server does. Lower is better.
type Standing uint8

const (
	// Healthy servers answer.
	Healthy Standing = iota
	// Failing servers answer with errors.
	Failing
	// Doubtful servers owe an answer.
	Doubtful
	// Down servers do not answer.
	Down
	// Looping servers send our questions back to us.
	Looping
)

// Usable reports whether clients' questions go to a server of this standing.
func (s Standing) Usable() bool { return s < Down }

// Standing returns how well the server does.
func (s *Server) Standing() Standing {
	switch {
	case s.loop.looping:
		return Looping
	case s.down:
		return Down
	case s.doubtSince != 0:
		return Doubtful
	case s.failing:
		return Failing
	}
	return Healthy
}

// IsDown reports whether the server does not answer.
func (s *Server) IsDown() bool { return s.down }

// IsLooping reports whether the server sends our questions back to us.
func (s *Server) IsLooping() bool { return s.loop.looping }

// SmoothedRTT is the average round-trip time, 0 while unknown.
func (s *Server) SmoothedRTT() time.Duration { return s.srtt }

// heard notes a reply. rtt is its round-trip time, negative if that says nothing
// about the usual transport; fault is what is wrong with the reply.
func (s *Server) heard(now Time, rtt time.Duration, fault Fault) {
	s.heardAt = now
	s.doubtSince, s.mute = 0, false
	s.secure.pause, s.secure.until = 0, 0
	if s.down {
		s.down = false
		s.notices.change(now)
	}
	if s.failing = fault.Kind != NoFault; s.failing {
		s.failsWith(fault)
	}
	switch {
	case rtt < 0:
	case s.srtt == 0:
		s.srtt, s.rttvar = max(rtt, 1), rtt/2
	default:
		off := rtt - s.srtt
		s.rttvar += (max(off, -off) - s.rttvar) / 4
		s.srtt = max(s.srtt+off/8, 1)
	}
}

// silent notes that the question key, first sent at a time, is unanswered. A
// server that has been heard since is alive: then it is the question that is
// slow.
func (s *Server) silent(now, sent Time, key uint64) {
	s.fails(now, FaultSilent)
	switch {
	case s.heardAt >= sent || s.down:
	case s.doubtSince == 0:
		s.doubtSince, s.doubtKey = sent, key
	case key != s.doubtKey && now.Since(s.doubtSince) >= downAfter:
		s.fall(now)
		s.mute = true
	}
}

// refused notes that the network reported the server as unreachable to an
// attempt sent at a time, or that its connection failed. Such reports can be forged, so
// a reply since then counts more.
func (s *Server) refused(now, sent Time, kind FaultKind) {
	s.fails(now, kind)
	if s.heardAt >= sent {
		return
	}
	s.mute = false
	if !s.down {
		s.fall(now)
	}
}

func (s *Server) fall(now Time) {
	s.down = true
	s.probeAt = now.Add(probeEvery)
	s.notices.change(now)
}

// wantsProbe reports whether a server that is down is to be probed now. It says
// so once per interval.
func (s *Server) wantsProbe(now Time) bool {
	if !s.down || s.loop.looping || now < s.probeAt || s.paused(now) {
		return false
	}
	s.probeAt = now.Add(probeEvery)
	return true
}

// rto is how long to wait for a reply before asking another server: RFC 6298 §2,
// within patience.
func (s *Server) rto() time.Duration {
	if s.srtt == 0 {
		return patience
	}
	return min(max(s.srtt+min(4*s.rttvar, patience), minRTO), maxRTO)
}
