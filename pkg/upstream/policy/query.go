package policy

import (
	"cmp"
	"time"
)

const (
	// MaxAttempts bounds the attempts of one question, over all transports.
	MaxAttempts = maxUsual + maxWhole
	// maxUsual bounds the packets sent for one question.
	maxUsual = 8
	// maxWhole bounds the attempts of one question over TCP: two servers, each tried again
	// once on a new connection.
	maxWhole = 4

	// graceForBetter is how long to wait for a good reply after one that is not good.
	graceForBetter = 2 * time.Second
	// measureTimeout bounds the questions that only measure a server.
	measureTimeout = 2 * time.Second
	// refusedGap is the pause before servers that cannot be reached are tried once more. It
	// bridges the moment in which a server restarts.
	refusedGap = 200 * time.Millisecond
	// wholePatience is how long an answer over TCP may take before the servers are asked
	// again, unless Config.FirstRetry is longer. A later answer still counts.
	wholePatience = 2 * time.Second
)

// Purpose is why a question is asked.
type Purpose uint8

const (
	// Resolve asks for a client.
	Resolve Purpose = iota
	// Probing asks one server to find out whether it answers, and how fast.
	Probing
	// LoopProbing asks one server to find out whether the question comes back to us.
	LoopProbing
)

// Start describes a question.
type Start struct {
	Config *Config // the settings; do not change
	Group  *Group  // the servers that may be asked
	// Purpose is why the question is asked. If it is not Resolve, Only is the index of the
	// one server to ask.
	Purpose Purpose
	Only    int // see Purpose
	// Key is a hash of the name that ignores case.
	Key uint64
	// Client is a hash that identifies the client, 0 for this program. Proxy says that the
	// client asks on behalf of many others.
	Client uint64
	Proxy  bool // see Client
	// DO says that the client wants DNSSEC records, which need EDNS.
	DO bool
	// SlowAfter is the time from the start of the question to a Slow action, 0 for none.
	SlowAfter time.Duration
}

// Query is the policy of one question. The zero value is ready for Reset.
type Query struct {
	start Start // what Reset was called with
	// At deadline the question ends, at retryAt it is asked again, and at slowAt (if not 0)
	// there is a Slow action.
	deadline, retryAt, slowAt Time
	// gap is the time until the next repetition, 0 until it is known.
	gap time.Duration
	// attempts[:n] were made. Of these, open may still bring a reply, and whole went over
	// TCP.
	attempts       [MaxAttempts]attempt
	n, open, whole int // see attempts
	// refusals is how many attempts failed immediately.
	refusals int
	// awaiting says that we wait for an answer over TCP.
	awaiting bool
	best     Rank // the rank of the best reply so far
	bestOPT  bool // the best reply so far has an OPT record
	failure  End  // how to end without a reply
	ended    bool // the question has ended
}

// attempt is one question sent to one server.
type attempt struct {
	sent          Time // when the question was sent
	server        int  // index in Group.Servers
	way           Way  // the transport
	edns          bool // with an OPT record
	mixed         bool // in random case
	cold          bool // its time includes making a connection
	open          bool // a reply may still come
	heard         bool // a reply came and was ignored
	late          bool // it counts as silent
	repeated      bool // it was asked once more, or is that repetition
	misunderstood bool // the server did not understand it
	postponed     bool // it was truncated, and may be asked over TCP once no other answer over TCP is awaited
}

// Reset prepares q for another question.
func (q *Query) Reset(start Start) {
	*q = Query{start: start, failure: EndTimeout}
}

// Due returns when the next Tick is due, or 0 once the question has ended.
func (q *Query) Due() Time {
	if q.ended {
		return 0
	}
	due := q.deadline
	if q.client() && q.n < maxUsual {
		due = min(due, q.retryAt)
	}
	if q.slowAt != 0 {
		due = min(due, q.slowAt)
	}
	return due
}

// client reports whether a client waits for the answer.
func (q *Query) client() bool { return q.start.Purpose == Resolve }

func (q *Query) server(i int) *Server { return q.start.Group.Servers[i] }

// width returns the number of servers that can be asked.
func (q *Query) width() int {
	if !q.client() {
		return 1
	}
	return len(q.start.Group.Servers)
}

// Step takes an event and appends the actions that follow from it to dst. It does nothing
// after a Finish action, or for an attempt that is not open.
func (q *Query) Step(now Time, ev Event, dst []Action) []Action {
	if q.ended {
		return dst
	}
	a := &q.attempts[ev.Attempt]
	if ev.Kind > Tick && !a.open {
		return dst
	}
	switch ev.Kind {
	case Begin:
		dst = q.begin(now, dst)
	case Tick:
		dst = q.tick(now, dst)
	case Replied:
		dst = q.replied(now, &ev, dst)
	case Miscased:
		dst = q.miscased(now, ev.Attempt, dst)
	case Unsent:
		q.server(a.server).lastFault = Fault{Kind: FaultUnsent, At: now} // not counted: the server has not failed
		q.close(a)
		q.refusals++
		q.failure = EndUnreachable
		dst = q.advance(now, dst)
	case Refused:
		q.close(a)
		q.refusals++
		q.failure = EndUnreachable
		q.server(a.server).refused(now, a.sent, FaultRefused)
		dst = q.advance(now, dst)
	case NotConnected, Lost:
		dst = q.disconnected(now, ev, dst)
	case Dialling:
		q.dialling(now, ev.Attempt)
		return dst
	}
	return q.finishIfIdle(now, dst)
}

func (q *Query) begin(now Time, dst []Action) []Action {
	s := &q.start
	q.deadline, q.retryAt = now.Add(s.Config.Timeout), now
	if !q.client() {
		q.deadline = now.Add(measureTimeout)
		// Use EDNS only if it is known to work: the probe must find out whether the server is
		// up.
		only := q.server(s.Only)
		return q.send(now, s.Only, (only.secure.on || only.edns.recent(now)) && !only.edns.plain(now), dst)
	}
	if s.SlowAfter > 0 {
		q.slowAt = now.Add(s.SlowAfter)
	}
	servers := s.Group.Servers
	if len(servers) > 1 && (s.Config.Strategy == All || s.Config.Strategy == Fastest && !s.Group.measured()) {
		for i := 0; i < len(servers) && q.n < maxUsual/2; i++ {
			if !servers[i].loop.looping && !servers[i].paused(now) && !s.Group.spares(servers[i]) {
				dst = q.send(now, i, q.edns(now, i), dst)
			}
		}
		if q.n == 0 {
			q.failure = EndUnreachable
		}
	} else {
		dst = q.sendNext(now, dst)
	}
	return q.measure(now, dst)
}

// measure appends actions that probe or measure servers that this question did not ask.
func (q *Query) measure(now Time, dst []Action) []Action {
	g := q.start.Group
	if len(g.Servers) < 2 {
		return dst
	}
	if g.replicas {
		return q.measureReplicas(now, dst)
	}
	explore := q.start.Config.Strategy == Fastest && g.measured() && g.wantsExplore(now)
	for i, s := range g.Servers {
		if !q.asked(i) && (s.wantsProbe(now) || explore && s.Standing().Usable() && s.measurable(now)) {
			dst = append(dst, Action{Kind: Measure, Server: i})
		}
	}
	return dst
}

// asked reports whether server i was asked for this question.
func (q *Query) asked(i int) bool {
	for k := range q.attempts[:q.n] {
		if q.attempts[k].server == i {
			return true
		}
	}
	return false
}

// edns reports whether to ask server i with EDNS. While no reply comes, some repetitions are
// sent without it, because something on the path may drop it (RFC 6891 §6.2.2): the second if
// the server has never answered with EDNS, the third if it has. A client that wants DNSSEC
// records from a server that supports EDNS is never given an answer without them.
func (q *Query) edns(now Time, i int) bool {
	m := &q.server(i).edns
	if m.plain(now) {
		return false
	}
	if q.server(i).secure.on { // nothing on the path can drop it
		return true
	}
	silent := 0
	for k := range q.attempts[:q.n] {
		if a := &q.attempts[k]; a.server == i && a.open && !a.heard {
			silent++
		}
	}
	switch {
	case q.start.DO && m.recent(now):
		return true
	case q.start.DO || m.recent(now):
		return silent%3 != 2
	}
	return silent%2 != 1
}

// send asks server i over its usual transport.
func (q *Query) send(now Time, i int, edns bool, dst []Action) []Action {
	if q.n >= maxUsual {
		return dst
	}
	s := q.server(i)
	mixed := q.client() && q.start.Config.MixCase && !s.secure.on && s.casing.mixes(now)
	dst = append(dst, Action{Kind: Send, Attempt: q.n, Server: i, Way: Usual, EDNS: edns, Mixed: mixed})
	q.attempts[q.n] = attempt{sent: now, server: i, edns: edns, mixed: mixed, open: true}
	q.n++
	q.open++
	if q.gap == 0 {
		switch first := q.start.Config.FirstRetry; {
		case first > 0:
			q.gap = first
		case q.width() == 1:
			q.gap = maxRTO
		default:
			q.gap = s.rto()
		}
	}
	q.retryAt = now.Add(q.gap)
	return dst
}

// sendNext asks the server whose turn it is.
func (q *Query) sendNext(now Time, dst []Action) []Action {
	if i := q.next(now); i >= 0 {
		return q.send(now, i, q.edns(now, i), dst)
	}
	q.retryAt = now.Add(max(q.gap, refusedGap))
	if q.open == 0 {
		q.failure = EndUnreachable
	}
	return dst
}

// sendWhole asks server i over TCP, and returns false if a limit forbids that.
func (q *Query) sendWhole(now Time, i int, edns, alone bool, dst []Action) ([]Action, bool) {
	s := q.server(i)
	if q.whole >= maxWhole || !q.start.Config.Streams.takeStream(s, &q.start) {
		return dst, false
	}
	dst = append(dst, Action{Kind: Send, Attempt: q.n, Server: i, Way: Whole, EDNS: edns, Alone: alone})
	q.attempts[q.n] = attempt{sent: now, server: i, way: Whole, edns: edns, repeated: alone, open: true}
	q.n++
	q.open++
	q.whole++
	q.awaiting = true
	q.retryAt = now.Add(max(wholePatience, q.start.Config.FirstRetry))
	return dst, true
}

// close records that an attempt will bring nothing more.
func (q *Query) close(a *attempt) {
	a.open = false
	q.open--
	if a.way == Whole {
		q.awaiting = false
		q.start.Config.Streams.release(q.server(a.server), q.start.Client)
	}
}

// next returns the index of the server to ask now: the best of those that were asked this
// question least often. Under InOrder it is the first of these that is usable; of equally
// good replicas, a random one. It returns -1 if there is none: all servers loop, are paused
// after a failed handshake, or already have the question on a connection.
func (q *Query) next(now Time) int {
	servers := q.start.Group.Servers
	inOrder := q.start.Config.Strategy == InOrder
	best, bestTried, bestStanding, bestRTT, bestTurn := -1, 0, Healthy, time.Duration(0), 0
	for i, s := range servers {
		standing, rtt := s.Standing(), s.srtt
		switch {
		case standing == Looping, s.paused(now), q.waitsOn(i):
			continue
		case inOrder:
			rtt = 0
			if standing.Usable() {
				standing = Healthy
			}
		case rtt == 0:
			rtt = 1 << 62
		}
		tried, turn := q.tried(i), q.turn(s, standing)
		if best < 0 || cmp.Or(tried-bestTried, turn-bestTurn, int(standing)-int(bestStanding), cmp.Compare(rtt, bestRTT)) < 0 {
			best, bestTried, bestStanding, bestRTT, bestTurn = i, tried, standing, rtt, turn
		}
	}
	if best >= 0 && servers[best].role == Replica && !inOrder {
		return q.equal(now, best, bestTried)
	}
	return best
}

// tried returns how often server i was asked this question. A server that has replied gets a
// much higher count, so that silent servers are asked again first.
func (q *Query) tried(i int) int {
	n := 0
	for k := range q.attempts[:q.n] {
		switch a := &q.attempts[k]; {
		case a.server != i:
		case a.open && !a.heard:
			n++
		default:
			n += MaxAttempts
		}
	}
	return n
}

// advance continues after an attempt that failed or brought an error: it asks another server whose
// reply was truncated over TCP, or a server that was not yet asked. If there is none, it waits for
// the open attempts.
func (q *Query) advance(now Time, dst []Action) []Action {
	if !q.client() {
		return dst
	}
	if !q.awaiting {
		for k := range q.attempts[:q.n] {
			if a := &q.attempts[k]; a.postponed {
				a.postponed = false
				return q.truncated(now, a, dst)
			}
		}
	}
	if q.n < maxUsual && !q.awaiting {
		if i := q.next(now); i >= 0 && !q.asked(i) {
			return q.send(now, i, q.edns(now, i), dst)
		}
	}
	if q.best != RankNone && q.open > 0 {
		q.deadline = min(q.deadline, now.Add(graceForBetter))
	}
	return dst
}

// finishIfIdle ends the question if nothing is left to wait for.
func (q *Query) finishIfIdle(now Time, dst []Action) []Action {
	if q.ended || q.open > 0 {
		return dst
	}
	if !q.client() || q.best != RankNone || q.refusals == 0 || q.refusals > 2*q.width() || q.n >= maxUsual || q.next(now) < 0 {
		return q.finish(q.giveUp(), dst)
	}
	q.retryAt = now.Add(refusedGap)
	if q.slowAt != 0 {
		q.slowAt = now // no attempt is open, so waiting is of no use
	}
	return dst
}

// giveUp returns how to end without a good reply.
func (q *Query) giveUp() End {
	switch q.best {
	case RankNone:
		return q.failure
	case RankIgnored:
		return EndIgnored
	}
	return EndKept
}

func (q *Query) finish(end End, dst []Action) []Action {
	for k := range q.attempts[:q.n] {
		if a := &q.attempts[k]; a.open {
			q.close(a)
		}
	}
	q.ended = true
	return append(dst, Action{Kind: Finish, End: end})
}

// tick appends the actions that are due at now.
func (q *Query) tick(now Time, dst []Action) []Action {
	if now >= q.deadline {
		dst = q.overdue(now, minRTO, dst)
		return q.finish(q.giveUp(), dst)
	}
	if q.slowAt != 0 && now >= q.slowAt {
		q.slowAt = 0
		dst = append(dst, Action{Kind: Slow})
	}
	if q.client() && now >= q.retryAt && q.n < maxUsual {
		q.awaiting = false
		dst = q.overdue(now, q.gap, dst)
		if q.n >= q.width() {
			q.gap *= 2
		}
		dst = q.sendNext(now, dst)
	}
	return dst
}

// firstSent returns when server i was first asked this question.
func (q *Query) firstSent(i int) Time {
	for k := range q.attempts[:q.n] {
		if a := &q.attempts[k]; a.server == i && a.way == Usual {
			return a.sent
		}
	}
	return 0
}

// overdue counts the attempts that have waited this long as silent, each of them once.
func (q *Query) overdue(now Time, waited time.Duration, dst []Action) []Action {
	for k := range q.attempts[:q.n] {
		a := &q.attempts[k]
		if !a.open || a.late || a.heard || now.Since(a.sent) < waited {
			continue
		}
		a.late = true
		s := q.server(a.server)
		if a.way == Usual {
			if q.start.Purpose != LoopProbing {
				s.silent(now, q.firstSent(a.server), q.start.Key)
			}
			continue
		}
		s.fails(now, FaultSilent)
		if s.streams.silent(now) {
			s.notices.addNotice(NoticeNoStream)
		}
		dst = append(dst, Action{Kind: Doubt, Attempt: k})
	}
	return dst
}
