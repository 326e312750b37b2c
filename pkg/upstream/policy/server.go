package policy

import "time"

// Server is what is known about one upstream server. The zero value is a server about which
// nothing is known. All groups that contain a server share its Server.
type Server struct {
	// Failures counts attempts that brought nothing usable: errors, silence, malformed
	// replies, refused ports.
	Failures uint64
	// lastFault is the last of these failures, or the last attempt that could not be sent.
	lastFault Fault

	// srtt and rttvar are the smoothed round-trip time and its variation (RFC 6298 §2); srtt
	// is 0 while unknown.
	srtt, rttvar time.Duration
	// heardAt is when the last reply came.
	heardAt Time
	// failing says that the last reply was an error.
	failing bool
	// doubtSince is when the first attempt that has been unanswered since the server's last
	// reply was sent; 0 if there is none. doubtKey is the key of its question.
	doubtSince Time
	doubtKey   uint64 // see doubtSince
	// down says that the server is only probed now and then; probeAt is the time of the next
	// probe.
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
	// tryAt is when a replica about which nothing is known may next be measured.
	tryAt   Time
	loop    loopState // whether the server sends our questions back
	notices notices   // the messages about the server to log
}

const (
	// downAfter is how long a server must be silent, while at least two different questions
	// wait for it, to count as down.
	downAfter = time.Second
	// probeEvery is the time between two probes of a server that is down.
	probeEvery = time.Second

	minRTO = 100 * time.Millisecond
	maxRTO = 400 * time.Millisecond
	// patience is how much longer than usual a server may take before another one is asked.
	// It is therefore the delay that one dead server of two adds to a question.
	patience = 180 * time.Millisecond
)

// Standing says how well a server works. Lower is better.
type Standing uint8

const (
	// Healthy servers answer.
	Healthy Standing = iota
	// Failing servers answer with errors.
	Failing
	// Doubtful servers have not answered the latest questions.
	Doubtful
	// Down servers do not answer.
	Down
	// Looping servers send our questions back to us.
	Looping
)

// Usable reports whether clients' questions go to a server of this standing.
func (s Standing) Usable() bool { return s < Down }

// Standing returns how well the server works now.
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

// SmoothedRTT returns the smoothed round-trip time, 0 while unknown.
func (s *Server) SmoothedRTT() time.Duration { return s.srtt }

// heard records a reply. rtt is its round-trip time, negative if that says nothing about the
// usual transport. fault is what is wrong with the reply.
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

// silent records that the question key, first sent at sent, is unanswered. If the server has
// replied to anything since, it is up, and only this question is slow.
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

// refused records that an attempt sent at sent failed, because the network reported the
// server as unreachable or the connection failed. Such reports can be forged, so a reply
// received since then takes precedence.
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

// wantsProbe reports whether to probe a server that is down now. It returns true once per
// interval.
func (s *Server) wantsProbe(now Time) bool {
	if !s.down || s.loop.looping || now < s.probeAt || s.paused(now) {
		return false
	}
	s.probeAt = now.Add(probeEvery)
	return true
}

// rto returns how long to wait for a reply before asking another server: the timeout of RFC
// 6298 §2, limited by patience.
func (s *Server) rto() time.Duration {
	if s.srtt == 0 {
		return patience
	}
	return min(max(s.srtt+min(4*s.rttvar, patience), minRTO), maxRTO)
}
