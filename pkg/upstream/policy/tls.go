package policy

import "time"

const (
	// minPause is how long a server is not asked after the first failed
	// handshake, maxPause after many: the time doubles.
	minPause = time.Second
	maxPause = time.Minute
	// coldPatience is how long at least a connection may take to be made until
	// another server is asked.
	coldPatience = 400 * time.Millisecond
	// dialToMeasure is how often a connection is made only to measure a server.
	dialToMeasure = time.Minute
)

// secureState is what is known of a server's secure connections. A handshake is
// dear, so a server that fails in it is left alone for longer and longer.
type secureState struct {
	// on says that the server is asked over connections only, with a handshake.
	on bool
	// open is whether there is a connection.
	open bool
	// pause is how long the server was last left alone, 0 once it answered; until
	// is when it may be asked again.
	pause time.Duration
	until Time
	// measureAt is when a connection may next be made only to measure.
	measureAt Time
}

// NewSecure returns a server that is asked over secure connections only. spread,
// from 0 to 1, makes its pauses differ from other programs'.
func NewSecure(spread float64) Server {
	return Server{secure: secureState{on: true}, spread: spread}
}

// Connected notes that there is a connection, or none any more.
func (s *Server) Connected(open bool) { s.secure.open = open }

// HandshakeFailed notes that no connection could be made, and none is open: the
// server is down and not asked for a while. It returns for how long.
func (s *Server) HandshakeFailed(now Time) time.Duration {
	s.fails(now, FaultHandshake)
	h := &s.secure
	h.pause = min(max(2*h.pause, minPause), maxPause)
	// At most a tenth shorter, so that the pauses of many clients drift apart.
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

// measurable reports whether the server may be asked only to measure it.
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

// dialling notes that attempt k waits for a connection: it takes several round
// trips until the question is even sent.
func (q *Query) dialling(now Time, k int) {
	a := &q.attempts[k]
	a.cold = true
	if a.way != Usual || !q.client() {
		return
	}
	q.gap = max(q.gap, coldPatience, 3*q.server(a.server).srtt)
	q.retryAt = now.Add(q.gap)
}

// waitsOn reports whether server i has the question on a connection, where asking
// again would bring nothing new.
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
