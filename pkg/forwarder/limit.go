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

// limiter limits the questions in flight to one group of servers and divides them among
// clients.
//
// max questions may be in flight, whichever clients they are from. When there are that many, a
// client that has less than an equal share is still admitted, up to a reserve of a quarter, so
// that one client cannot lock the others out. For other new questions, the question that has
// waited longest is answered early, if it has waited for patience: by then it has been sent
// several times.
type limiter struct {
	mu      sync.Mutex           // protects all fields
	max     int                  // largest total; Config.InFlight
	total   int                  // questions in flight that count
	waiters int                  // queries that have joined a question in flight
	active  int                  // number of elements of clients that are not 0
	clients [clientBuckets]int32 // questions in flight by hash of their clients
	names   map[uint64]int32     // questions in flight by hash of their names
	number  uint64               // number of the last flight
	oldest  *flight              // the first flight that counts, in order of admission
	newest  *flight              // the last flight that counts
}

const (
	// clientBuckets is the number of counters for clients. Clients with the same counter
	// have one share together.
	clientBuckets = 1024
	// waitersPerQuestion is how many queries may join questions in flight, for each question
	// that may be in flight.
	waitersPerQuestion = 4
	// questionsPerName is how many questions about one name, with different types or flags,
	// may be in flight. An attacker that sends guessed replies needs many of them.
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
	l := &limiter{max: f.state.Load().cfg.InFlight, names: map[uint64]int32{}}
	next[g.Domain()] = l
	f.limits.Store(&next)
	return l
}

// setLimits applies Config.InFlight, and removes the limiters of domains without questions in
// flight.
func (f *Forwarder) setLimits(inFlight int) {
	f.limitMu.Lock()
	defer f.limitMu.Unlock()
	next := map[string]*limiter{}
	for domain, l := range *f.limits.Load() {
		l.mu.Lock()
		l.max = inFlight
		if l.total > 0 || l.waiters > 0 {
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
		questions, waiters = questions+l.total, waiters+l.waiters
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

// bucket returns the index of the counter for a client. Questions of this program itself, and a
// nil a, have the first counter.
func (f *Forwarder) bucket(a *recipient) int {
	if a == nil || a.resolve != nil && a.inner == 0 {
		return 0
	}
	return int(maphash.Comparable(f.seed, a.to.Peer().Addr()) % clientBuckets)
}

// admission says whether a question may be sent.
type admission uint8

const (
	admitted  admission = iota
	overMax             // too many questions are in flight
	overTypes           // too many questions about this name are in flight
)

// admit counts fl, whose client's counter is bucket, unless it must be refused. name is a hash of
// its name, or 0 for a question that depends on the client, for which names are not counted.
func (l *limiter) admit(fl *flight, bucket int, name uint64) admission {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name != 0 && l.names[name] >= questionsPerName {
		return overTypes
	}
	if l.total >= l.max {
		active := l.active
		if l.clients[bucket] == 0 {
			active++
		}
		if l.total >= l.max+(l.max+3)/4 || int(l.clients[bucket]) >= l.max/max(active, 2) {
			return overMax
		}
	}
	l.total++
	if name != 0 {
		l.names[name]++
	}
	if l.clients[bucket]++; l.clients[bucket] == 1 {
		l.active++
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
	return admitted
}

// release undoes admit, unless uncount has done so, and extra calls of admitWaiter.
func (l *limiter) release(fl *flight, extra int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters -= extra
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
	l.total--
	if l.clients[fl.bucket]--; l.clients[fl.bucket] == 0 {
		l.active--
	}
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

// admitWaiter counts a query that joins a question in flight. It returns false if there are too
// many.
func (l *limiter) admitWaiter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiters >= waitersPerQuestion*l.max {
		return false
	}
	l.waiters++
	return true
}

func (l *limiter) releaseWaiters(n int) {
	l.mu.Lock()
	l.waiters -= n
	l.mu.Unlock()
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
	waiting := fl.waiters
	l.releaseWaiters(fl.extra)
	fl.waiters, fl.extra = nil, 0
	ended := &flight{f: f, nlen: fl.nlen, name: fl.name, names: fl.names, typ: fl.typ, class: fl.class, do: fl.do, private: fl.private}
	fl.names = nil
	sh.mu.Unlock()
	ended.giveUp(st, s, waiting, wire.EDENoReachableAuthority, errNoRoom)
	s.Flush()
	f.sinks.Put(s)
	return true
}

// errNoRoom is the reason for a question that is answered early.
var errNoRoom = errors.New("no answer so far, and too many questions are in flight")

// giveUp answers the waiters with the expired answer or, if there is none, with SERVFAIL.
func (fl *flight) giveUp(st *snapshot, s *answerSink, waiting []waiter, code uint16, err error) {
	defer fl.f.recovered(fl.name[:fl.nlen])
	fl.fail(st, s, fl.giveStale(st, s, waiting), code, err)
}
