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

// limiter bounds the questions in flight to one group of servers and shares them
// among clients.
//
// max questions may be in flight, whosever they are. When that many are, a
// client that has fewer than an equal share still gets in, up to a reserve of a
// quarter, so that one client cannot shut the others out. For any other
// question the one that has waited longest makes room, if it has waited for
// patience: it has been asked several times by then.
type limiter struct {
	mu      sync.Mutex
	max     int
	total   int
	waiters int // those who wait for questions of others
	active  int // clients with something in flight
	clients [clientBuckets]int32
	names   map[uint64]int32 // questions in flight by hash of their names
	number  uint64           // of the last flight
	oldest  *flight          // the flights that count, in order
	newest  *flight
}

const (
	// clientBuckets is how many counters clients are hashed to; two in one
	// share its share.
	clientBuckets = 1024
	// waitersPerQuestion bounds the askers that wait for questions of others:
	// so many for each question that may be in flight.
	waitersPerQuestion = 4
	// questionsPerName bounds the questions about one name in flight, of different
	// types or flags: many chances to guess an answer need many questions.
	questionsPerName = 8
	// patience is how long a question waits at least.
	patience = time.Second
	// roomTries is how many others make room for one question.
	roomTries = 8
)

// limiter returns the limiter of a group; those of one domain share it over
// Reloads.
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

// setLimits applies Config.InFlight, and forgets domains without
// questions in flight.
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

// inFlight returns how many questions are in flight, and how many wait for
// those of others.
func (f *Forwarder) inFlight() (questions, waiters int) {
	for _, l := range *f.limits.Load() {
		l.mu.Lock()
		questions, waiters = questions+l.total, waiters+l.waiters
		l.mu.Unlock()
	}
	return questions, waiters
}

// bucket returns where a client is counted. nil is this program.
func (f *Forwarder) bucket(a *asker) int {
	if a == nil || a.resolve != nil {
		return 0
	}
	return int(maphash.Comparable(f.seed, a.to.Peer().Addr()) % clientBuckets)
}

// admission says whether a question may go out.
type admission uint8

const (
	admitted  admission = iota
	overMax             // too many are in flight
	overTypes           // too many about this name are
)

// admit counts fl, whose client is counted in bucket, unless it has to be
// refused. name is a hash of its name; 0 does not count names, for questions that
// differ because of who asks.
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

// release undoes admit, unless that was done, and extra times admitWaiter.
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

// uncount takes fl out. The lock is held.
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

// admitWaiter counts one who waits for a question in flight.
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

// takeOldest takes out the question that has waited longest, if it has waited
// for patience, and returns what identifies it.
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

// makeRoom ends the wait of those who wait longest for servers of l, with an
// expired answer or SERVFAIL. Their question goes on, so that its answer still
// gets into the cache. No shard's lock may be held.
func (f *Forwarder) makeRoom(l *limiter) bool {
	fl, hash, number := l.takeOldest(f.now())
	if fl == nil {
		return false
	}
	sh := &f.shards[hash%flightShards]
	sh.mu.Lock()
	if !sh.has(hash, fl) || fl.number != number {
		sh.mu.Unlock()
		return true // it ended by itself
	}
	f.madeRoom.Add(1)
	s := f.sinks.Get().(*sink)
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

// errNoRoom says that a question had to make room.
var errNoRoom = errors.New("no answer so far, and too many questions wait")

// giveUp answers those who wait with the expired answer, else with SERVFAIL.
func (fl *flight) giveUp(st *state, s *sink, waiting []waiter, code uint16, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			fl.f.crashed(cause, fl.name[:fl.nlen])
		}
	}()
	fl.fail(st, s, fl.giveStale(st, s, waiting), code, err)
}
