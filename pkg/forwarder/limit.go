package forwarder

import (
	"errors"
	"hash/maphash"
	"maps"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// limiter limits the questions in flight to one group of servers, and the queries that join them,
// and divides both among clients. If a new question is over the limit, the question that has
// waited longest is answered early, if it has waited for patience: by then it has been sent
// several times.
type limiter struct {
	mu        sync.Mutex       // protects all fields
	questions shares           // questions in flight that count; at most Config.InFlight
	waiters   shares           // queries that have joined a question in flight
	names     map[uint64]int32 // questions in flight by hash of their names
	number    uint64           // number of the last flight
	oldest    *flight          // the first flight that counts, in order of admission
	newest    *flight          // the last flight that counts
}

// shares counts what clients hold of something that is limited.
//
// Until max is reached, it does not matter whose it is. Then a client that has less than an equal
// share still gets more, up to a reserve of a quarter, so that one client cannot lock the others
// out.
type shares struct {
	max     int                  // largest total without the reserve
	total   int                  // held by all clients
	active  int                  // number of elements of clients that are not 0
	clients [clientBuckets]int32 // held, by hash of the client
}

// admit counts one more for the client with the counter bucket, unless it must be refused.
func (s *shares) admit(bucket int) bool {
	if s.total >= s.max {
		active := s.active
		if s.clients[bucket] == 0 {
			active++
		}
		if s.total >= s.max+(s.max+3)/4 || int(s.clients[bucket]) >= s.max/max(active, 2) {
			return false
		}
	}
	s.total++
	if s.clients[bucket]++; s.clients[bucket] == 1 {
		s.active++
	}
	return true
}

// release undoes admit.
func (s *shares) release(bucket int) {
	s.total--
	if s.clients[bucket]--; s.clients[bucket] == 0 {
		s.active--
	}
}

const (
	// clientBuckets is the number of counters for clients. Clients with the same counter
	// have one share together.
	clientBuckets = 1024
	// waitersPerQuestion is how many queries may join questions in flight, for each question
	// that may be in flight.
	waitersPerQuestion = 4
	// questionsPerName is how many questions about one name, with different types or flags,
	// may be in flight. An attacker that sends guessed replies needs many of them. Ordinary
	// questions about addresses count, but are never refused, so that nobody can keep the
	// addresses of a name from others by asking for other types.
	questionsPerName = 8
	// patience is the shortest time before a waiting question may be answered early.
	patience = time.Second
	// roomTries is how many other questions are answered early to make room for one.
	roomTries = 8
)

// limiter returns the limiter of a group. All groups of one domain have the same limiter,
// also after Reload.
func (f *Forwarder) limiter(g *upstream.Group) *limiter {
	if l := (*f.limits.Load())[g.Domain()]; l != nil {
		return l
	}
	f.limitMu.Lock()
	defer f.limitMu.Unlock()
	old := *f.limits.Load()
	if l := old[g.Domain()]; l != nil {
		return l
	}
	next := maps.Clone(old)
	l := &limiter{names: map[uint64]int32{}}
	l.setMax(f.state.Load().cfg.InFlight)
	next[g.Domain()] = l
	f.limits.Store(&next)
	return l
}

// setMax applies Config.InFlight.
func (l *limiter) setMax(inFlight int) {
	l.questions.max, l.waiters.max = inFlight, waitersPerQuestion*inFlight
}

// setLimits applies Config.InFlight, and removes the limiters of domains without questions in
// flight.
func (f *Forwarder) setLimits(inFlight int) {
	f.limitMu.Lock()
	defer f.limitMu.Unlock()
	next := map[string]*limiter{}
	for domain, l := range *f.limits.Load() {
		l.mu.Lock()
		l.setMax(inFlight)
		if l.questions.total > 0 || l.waiters.total > 0 {
			next[domain] = l
		}
		l.mu.Unlock()
	}
	f.limits.Store(&next)
}

// inFlight returns the number of questions in flight, and of queries that have joined one.
func (f *Forwarder) inFlight() (questions, waiters int) {
	for _, l := range *f.limits.Load() {
		l.mu.Lock()
		questions, waiters = questions+l.questions.total, waiters+l.waiters.total
		l.mu.Unlock()
	}
	return questions, waiters
}

// AwaitQuiet waits until no question is in flight, but not longer than limit. Call it before the
// sockets are closed: whoever waits for an answer then would get none.
func (f *Forwarder) AwaitQuiet(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if questions, _ := f.inFlight(); questions == 0 {
			return
		}
	}
}

// bucket returns the index of the counter for a client. Questions of this program itself have the
// first counter.
func (f *Forwarder) bucket(a *recipient) int {
	if a.resolve != nil && a.inner == 0 {
		return 0
	}
	return int(maphash.Comparable(f.seed, a.to.Peer().Addr()) % clientBuckets)
}

// admit counts fl, whose client's counter is bucket, and returns began, unless fl must be refused.
// name is a hash of its name, or 0 for a question that depends on the client, for which names are
// not counted.
func (l *limiter) admit(fl *flight, bucket int, name uint64) joinResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name != 0 && l.names[name] >= questionsPerName && !fl.asksAddresses() {
		return refusedTypes
	}
	if !l.questions.admit(bucket) {
		return refused
	}
	if name != 0 {
		l.names[name]++
	}
	l.number++
	fl.limit, fl.bucket, fl.number, fl.counted, fl.nameHash = l, bucket, l.number, true, name
	fl.older, fl.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = fl
	} else {
		l.oldest = fl
	}
	l.newest = fl
	return began
}

// asksAddresses reports whether the question is an ordinary one about addresses. As equal questions
// join, there can be few of them about one name.
func (fl *flight) asksAddresses() bool {
	return (fl.typ == wire.TypeA || fl.typ == wire.TypeAAAA) && fl.class == wire.ClassIN &&
		fl.flags&(wire.FlagRD|wire.FlagCD) == wire.FlagRD
}

// release undoes admit, unless uncount has done so.
func (l *limiter) release(fl *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fl.nameHash != 0 {
		if l.names[fl.nameHash]--; l.names[fl.nameHash] == 0 {
			delete(l.names, fl.nameHash)
		}
	}
	if fl.counted {
		l.uncount(fl)
	}
}

// uncount removes fl from the questions that count. l.mu must be held.
func (l *limiter) uncount(fl *flight) {
	l.questions.release(fl.bucket)
	if fl.older != nil {
		fl.older.newer = fl.newer
	} else {
		l.oldest = fl.newer
	}
	if fl.newer != nil {
		fl.newer.older = fl.older
	} else {
		l.newest = fl.older
	}
	fl.older, fl.newer, fl.counted = nil, nil, false
}

// admitWaiter counts a query that joins a question in flight, unless it must be refused.
func (l *limiter) admitWaiter(bucket int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiters.admit(bucket)
}

// releaseWaiters undoes admitWaiter for those of the waiters that count.
func (l *limiter) releaseWaiters(waiters []waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range waiters {
		if w := &waiters[i]; w.bucket != uncounted {
			l.waiters.release(w.bucket)
			w.bucket = uncounted
		}
	}
}

// takeOldest removes the question that has waited longest from those that count, if it has waited
// for patience, and returns it with what identifies it. Otherwise it returns nil.
func (l *limiter) takeOldest(now int64) (fl *flight, hash, number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fl = l.oldest
	if fl == nil || now-fl.began < int64(patience) {
		return nil, 0, 0
	}
	l.uncount(fl)
	return fl, fl.hash, fl.number
}

// makeRoom answers the waiters of the question of l that has waited longest, with an expired
// answer or SERVFAIL. The question remains in flight, so that its answer is still cached. It
// reports whether it made room. The caller must not hold a shard's lock.
func (f *Forwarder) makeRoom(l *limiter) bool {
	fl, hash, number := l.takeOldest(f.now())
	if fl == nil {
		return false
	}
	sh := &f.shards[hash%flightShards]
	sh.mu.Lock()
	if !sh.has(hash, fl) || fl.number != number {
		sh.mu.Unlock()
		return true // it has ended by itself
	}
	f.madeRoom.Add(1)
	s := f.sinks.Get().(*answerSink)
	st := f.state.Load()
	ended := fl.detach()
	sh.mu.Unlock()
	l.releaseWaiters(ended.waiters)
	ended.giveUp(st, s, wire.EDENoReachableAuthority, errNoRoom)
	s.Flush()
	f.sinks.Put(s)
	return true
}

// errNoRoom is the reason for a question that is answered early.
var errNoRoom = errors.New("no answer so far, and too many questions are in flight")

// giveUp answers the waiters with the expired answer or, if there is none, with SERVFAIL.
func (fl *flight) giveUp(st *snapshot, s *answerSink, code uint16, err error) {
	defer fl.f.recovered(fl.name[:fl.nlen])
	fl.fail(st, s, fl.giveStale(st, s, fl.waiters), code, err)
}
