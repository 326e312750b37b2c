package policy

import "time"

// rememberFor is how long a server's shortcoming is remembered until it is
// tried again.
const rememberFor = 15 * time.Minute

// ednsMemory is what is known about EDNS at one server. Servers and middleboxes
// that refuse or drop questions with an OPT record (RFC 6891 §7) are asked
// without for a while, but only after the questions of two different names, with
// no reply to a question with EDNS between them: one odd name or a few lost
// packets change nothing.
type ednsMemory struct {
	// takenAt is when the server last answered a question with EDNS.
	takenAt Time
	// suspectKey is the name that failed with EDNS; suspected says there is one.
	suspectKey uint64
	suspected  bool
	// plainUntil is until when the server is asked without EDNS.
	plainUntil Time
}

// plain reports whether the server is asked without EDNS now.
func (m *ednsMemory) plain(now Time) bool { return now < m.plainUntil }

// recent reports whether the server answered a question with EDNS lately.
func (m *ednsMemory) recent(now Time) bool {
	return m.takenAt != 0 && now.Since(m.takenAt) < rememberFor
}

// taken notes a reply to a question with EDNS that does not complain.
func (m *ednsMemory) taken(now Time) {
	m.takenAt, m.suspected = now, false
}

// failed notes that the name key failed with EDNS although the server is there.
// It reports whether the server is asked without from now on.
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

// maxMiscased is how many replies in a row may change the case of their name
// until the server counts as one that always does.
const maxMiscased = 2

// caseMemory is what is known about the case of names at one server
// (draft-vixie-dnsext-dns0x20).
type caseMemory struct {
	run       int  // replies in a row that changed the case
	asIsUntil Time // until when names are sent as the client spelled them
}

func (m *caseMemory) mixes(now Time) bool { return now >= m.asIsUntil }

// changed notes a reply in another case. It reports whether names are sent as
// they are from now on.
func (m *caseMemory) changed(now Time) bool {
	m.run++
	if m.run < maxMiscased || !m.mixes(now) {
		return false
	}
	m.asIsUntil = now.Add(rememberFor)
	return true
}

func (m *caseMemory) kept() { m.run = 0 }

// Times of streamMemory: a server to which no connection can be made is tried
// again after the first, then after twice as long each time, up to the second.
const (
	minStreamPause = 10 * time.Second
	maxStreamPause = 5 * time.Minute
	// After a pause, streamTrials questions may try TCP; if none brings a reply,
	// the next ones may after streamTrialEvery.
	streamTrials     = 4
	streamTrialEvery = 4 * time.Second
)

// streamMemory is what is known about TCP at one server. Once it has answered
// over TCP, only connections that cannot be made count against it: an answer
// that does not come may be the fault of one zone, which must not take TCP from
// all others.
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

// missing reports whether TCP is not to be tried now.
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

// unconnected notes that no connection could be made. It reports whether the
// server newly counts as one without TCP.
func (m *streamMemory) unconnected(now Time) bool {
	news := m.pause == 0
	m.pause = min(max(2*m.pause, minStreamPause), maxStreamPause)
	m.until, m.trials = now.Add(m.pause), 0
	return news
}

// silent notes that a question got no answer on a connection. It reports
// whether the server newly counts as one without TCP.
func (m *streamMemory) silent(now Time) bool {
	if m.proven {
		return false
	}
	news := m.pause == 0
	m.pause = max(m.pause, minStreamPause)
	m.until, m.trials = now.Add(minStreamPause), 0
	return news
}

// Streams bounds the questions that wait over TCP, so that one server or one
// client that makes them wait long leaves room for the others.
type Streams struct {
	// Max is how many may wait at a time.
	Max int
	// Taken counts questions that were asked over TCP, Refused those that were
	// not because of a bound.
	Taken, Refused uint64

	open    int
	clients [streamClients]int32
}

// streamClients is how many counters clients are hashed to.
const streamClients = 1024

// takeStream counts one more question of a client to a server, unless that is too
// many. Half of Max is for one server where a group has several; an eighth for
// one client, and only a sixteenth while more than half is in use, but half for
// a client that asks for many others. Client 0 is this program.
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

// release undoes take.
func (p *Streams) release(s *Server, client uint64) {
	p.open--
	p.clients[client%streamClients]--
	s.streams.open--
}

// Open is the number of questions that wait over TCP.
func (p *Streams) Open() int { return p.open }
