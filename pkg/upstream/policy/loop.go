package policy

import "time"

// Probe is the number in a question that tests whether a server sends our questions back to
// us. It is random, so that nobody else can guess it.
type Probe [16]byte

const (
	// loopEvery is how often a server that loops is probed.
	loopEvery = time.Minute
	// loopSilence is how many probes in a row may neither be answered nor come back before a
	// looping server is used again.
	loopSilence = 3
)

// loopState is what is known about loops through one server.
type loopState struct {
	probe   Probe // that was sent and has not come back; zero for none
	looping bool
	// nextAt is when to probe again, 0 for never.
	nextAt Time
	silent int
}

// LoopDue reports whether the server must be probed for a loop now. Call [Server.ExpectLoop]
// with a new number first.
func (s *Server) LoopDue(now Time) bool { return s.loop.nextAt != 0 && now >= s.loop.nextAt }

// CheckLoop asks for a probe as soon as possible.
func (s *Server) CheckLoop(now Time) { s.loop.nextAt = now }

// ForgetLoop ends the search for loops.
func (s *Server) ForgetLoop() { s.loop = loopState{} }

// ExpectLoop records that probe p is about to be sent.
func (s *Server) ExpectLoop(now Time, p Probe) {
	l := &s.loop
	if l.looping && l.probe != (Probe{}) {
		if l.silent++; l.silent >= loopSilence {
			l.looping, l.silent = false, 0
		}
	}
	l.probe, l.nextAt = p, 0
	if l.looping {
		l.nextAt = now.Add(loopEvery)
	}
}

// LoopCameBack reports in mine whether p is this server's outstanding probe, which counts
// only once. If it is, the server is no longer used; news reports that it was used until now.
func (s *Server) LoopCameBack(now Time, p Probe) (mine, news bool) {
	l := &s.loop
	if p == (Probe{}) || l.probe != p {
		return false, false
	}
	news = !l.looping
	l.probe, l.looping, l.silent, l.nextAt = Probe{}, true, 0, now.Add(loopEvery)
	return true, news
}

// loopAnswered records a reply to a probe. If the probe has not come back by then, the server
// does not loop. If it has, the server is probed again later.
func (s *Server) loopAnswered(now Time) {
	l := &s.loop
	if l.probe == (Probe{}) || !l.looping {
		return
	}
	l.looping, l.silent, l.nextAt = false, 0, now.Add(loopEvery)
	s.notices.addNotice(NoticeLoopOver)
}
