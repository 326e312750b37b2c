package policy

import "time"

const (
	// minPause is how long a server is not asked after its first failed handshake. The time
	// doubles with each failure, up to maxPause.
	minPause = time.Second
	maxPause = time.Minute
	// coldPatience is the least time that making a connection may take before another server
	// is asked.
	coldPatience = 400 * time.Millisecond
	// dialToMeasure is the least time between connections that are made only to measure a
	// server.
	dialToMeasure = time.Minute
)

// secureState is what is known about the connections to a server over TLS. Handshakes are
// expensive, so a server that fails them is not asked for longer and longer.
type secureState struct {
	// on says that all questions to the server use connections with a handshake.
	on bool
	// open is whether there is a connection.
	open bool
	// pause is the length of the last pause, 0 once the server has answered. until is when it
	// may be asked again.
	pause time.Duration
	until Time
	// measureAt is when a connection may next be made only to measure.
	measureAt Time
}

// NewSecure returns a server that is asked only over secure connections. spread, from 0 to 1,
// makes its pauses differ from those of other programs.
func NewSecure(spread float64) Server {
	return Server{secure: secureState{on: true}, spread: spread}
}

// Connected records whether a connection is open.
func (s *Server) Connected(open bool) { s.secure.open = open }

// HandshakeFailed records that no connection could be made while none is open. The server is
// then down, and not asked for the time that HandshakeFailed returns.
func (s *Server) HandshakeFailed(now Time) time.Duration {
	s.fails(now, FaultHandshake)
	h := &s.secure
	h.pause = min(max(2*h.pause, minPause), maxPause)
	// Up to a tenth shorter, so that the pauses of many programs drift apart.
	pause := h.pause - time.Duration(s.spread*float64(h.pause)/10)
	h.until = now.Add(pause)
	if !s.down {
		s.fall(now)
	}
	s.probeAt = h.until
	return pause
}

// paused reports whether the server must not be asked now.
func (s *Server) paused(now Time) bool { return now < s.secure.until }

// measurable reports whether the server may be asked merely to measure it.
func (s *Server) measurable(now Time) bool {
	h := &s.secure
	if !h.on || h.open {
		return true
	}
	if s.paused(now) || now < h.measureAt {
		return false
	}
	h.measureAt = now.Add(dialToMeasure)
	return true
}

// dialling records that attempt k waits for a connection, so that several round trips pass
// before the question is even sent.
func (q *Query) dialling(now Time, k int) {
	a := &q.attempts[k]
	a.cold = true
	if a.way != Usual || !q.client() {
		return
	}
	q.gap = max(q.gap, coldPatience, 3*q.server(a.server).srtt)
	q.retryAt = now.Add(q.gap)
}

// waitsOn reports whether server i already has the question on a connection, where asking
// again would be of no use.
func (q *Query) waitsOn(i int) bool {
	if !q.server(i).secure.on {
		return false
	}
	for k := range q.attempts[:q.n] {
		if a := &q.attempts[k]; a.server == i && a.open {
			return true
		}
	}
	return false
}
