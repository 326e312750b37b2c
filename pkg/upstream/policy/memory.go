package policy

import "time"

// rememberFor is how long a server's shortcoming is remembered before the feature is tried
// again.
const rememberFor = 15 * time.Minute

// ednsMemory is what is known about EDNS at one server. Some servers and middleboxes refuse
// or drop questions with an OPT record (RFC 6891 §7). Such a server is asked without EDNS for
// a while, but only after questions for two different names have failed, with no reply to a
// question with EDNS in between: one odd name or a few lost packets change nothing.
type ednsMemory struct {
	// takenAt is when the server last answered a question with EDNS.
	takenAt Time
	// suspectKey is the name that failed with EDNS; suspected says there is one.
	suspectKey uint64
	suspected  bool
	// plainUntil is the time until which the server is asked without EDNS.
	plainUntil Time
}

// plain reports whether the server is asked without EDNS now.
func (m *ednsMemory) plain(now Time) bool { return now < m.plainUntil }

// recent reports whether the server has answered a question with EDNS recently.
func (m *ednsMemory) recent(now Time) bool {
	return m.takenAt != 0 && now.Since(m.takenAt) < rememberFor
}

// taken records a reply to a question with EDNS that does not reject EDNS.
func (m *ednsMemory) taken(now Time) {
	m.takenAt, m.suspected = now, false
}

// failed records that a question for the name key failed with EDNS although the server is up.
// It reports whether the server is asked without EDNS from now on.
func (m *ednsMemory) failed(now Time, key uint64) bool {
	switch {
	case m.plain(now):
		return false
	case !m.suspected:
		m.suspected, m.suspectKey = true, key
		return false
	case m.suspectKey == key:
		return false
	}
	m.suspected = false
	m.plainUntil = now.Add(rememberFor)
	return true
}

// maxMiscased is how many replies in a row must change the case of the name for the server to
// count as one that always does.
const maxMiscased = 2

// caseMemory is what is known about the case of names at one server
// (draft-vixie-dnsext-dns0x20).
type caseMemory struct {
	run       int  // replies in a row that changed the case
	asIsUntil Time // until when names are sent as the client spelled them
}

func (m *caseMemory) mixes(now Time) bool { return now >= m.asIsUntil }

// changed records a reply in another case. It reports whether names are sent unchanged from
// now on.
func (m *caseMemory) changed(now Time) bool {
	m.run++
	if m.run < maxMiscased || !m.mixes(now) {
		return false
	}
	m.asIsUntil = now.Add(rememberFor)
	return true
}

func (m *caseMemory) kept() { m.run = 0 }

// The first and the longest pause of streamMemory, before a server to which no connection
// could be made is tried again. The pause doubles each time.
const (
	minStreamPause = 10 * time.Second
	maxStreamPause = 5 * time.Minute
	// After a pause, streamTrials questions may try TCP. If none brings a reply, the next
	// ones may try after streamTrialEvery.
	streamTrials     = 4
	streamTrialEvery = 4 * time.Second
)

// streamMemory is what is known about TCP at one server. Once the server has answered over
// TCP, only connections that cannot be made count against it: a missing answer may be the
// fault of a single zone, and must not turn TCP off for all others.
type streamMemory struct {
	open int // questions over TCP that wait
	// proven says that the server has answered over TCP.
	proven bool
	// pause is how long TCP is avoided after the last failure, 0 if it works;
	// until is its end.
	pause  time.Duration
	until  Time
	trials int // questions that tried since until
}

// missing reports whether TCP must not be tried now.
func (m *streamMemory) missing(now Time) bool {
	switch {
	case m.pause == 0:
		return false
	case now < m.until:
		return true
	}
	if m.trials++; m.trials >= streamTrials {
		m.until, m.trials = now.Add(streamTrialEvery), 0
	}
	return false
}

func (m *streamMemory) heard() { m.proven, m.pause, m.trials = true, 0, 0 }

// unconnected records that no connection could be made. It reports whether the server now
// counts as one without TCP and did not before.
func (m *streamMemory) unconnected(now Time) bool {
	news := m.pause == 0
	m.pause = min(max(2*m.pause, minStreamPause), maxStreamPause)
	m.until, m.trials = now.Add(m.pause), 0
	return news
}

// silent records that a question got no answer on a connection. It reports whether the server
// now counts as one without TCP and did not before.
func (m *streamMemory) silent(now Time) bool {
	if m.proven {
		return false
	}
	news := m.pause == 0
	m.pause = max(m.pause, minStreamPause)
	m.until, m.trials = now.Add(minStreamPause), 0
	return news
}

// Streams limits the questions that wait for answers over TCP, so that one slow server or one
// client cannot take all places from the others.
type Streams struct {
	// Max is how many may wait at a time.
	Max int
	// Taken counts the questions asked over TCP, Refused those that a limit kept from TCP.
	Taken, Refused uint64

	open    int
	clients [streamClients]int32
}

// streamClients is the number of counters over which clients are hashed.
const streamClients = 1024

// takeStream counts one more question of a client to a server, or returns false if a limit is
// reached. One server of several in a group may have half of Max. One client may have an
// eighth, or a sixteenth while half of Max or more is in use; a client that asks for many
// others (Start.Proxy) may have half. Client 0 is this program.
func (p *Streams) takeStream(s *Server, q *Start) bool {
	client := q.Client
	perServer, perClient := p.Max, max(p.Max/8, 1)
	if len(q.Group.Servers) > 1 {
		perServer = max(p.Max/2, 1)
	}
	switch {
	case q.Proxy:
		perClient = max(p.Max/2, 1)
	case 2*p.open >= p.Max:
		perClient = max(p.Max/16, 1)
	}
	mine := &p.clients[client%streamClients]
	if p.open >= p.Max || s.streams.open >= perServer || client != 0 && int(*mine) >= perClient {
		p.Refused++
		return false
	}
	p.open++
	*mine++
	s.streams.open++
	p.Taken++
	return true
}

// release undoes takeStream.
func (p *Streams) release(s *Server, client uint64) {
	p.open--
	p.clients[client%streamClients]--
	s.streams.open--
}
